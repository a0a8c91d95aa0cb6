-- Ratings of rating_complete.csv (anime that were watched to the end and rated) and list entries of animelist.csv.
-- materialised as: view
WITH ratings AS (
    SELECT
        'rating_complete.csv' AS source_file,
        position,
        raw,
        user_id,
        anime_id AS item_id,
        CASE WHEN rating NOT IN (-1, 0) THEN rating END AS rating,
        'completed' AS status,
        cast(NULL AS INTEGER) AS progress,
        cast(NULL AS FLOAT) AS weight,
        cast(NULL AS TIMESTAMP) AS happened_at,
        FALSE AS is_listing,
        CASE WHEN unreadable OR rating IS NULL THEN 'unparsable' END AS problem
    FROM raw.rating_complete
),

list_entries AS (
    SELECT
        'animelist.csv' AS source_file,
        position,
        raw,
        user_id,
        anime_id AS item_id,
        -- A score in the list may be of an unfinished anime: it counts only where rating_complete.csv repeats it.
        cast(NULL AS FLOAT) AS rating,
        CASE watching_status
            WHEN 1 THEN 'watching'
            WHEN 2 THEN 'completed'
            WHEN 3 THEN 'on_hold'
            WHEN 4 THEN 'dropped'
            WHEN 6 THEN 'plan_to_watch'
        END AS status,
        watched_episodes AS progress,
        cast(NULL AS FLOAT) AS weight,
        cast(NULL AS TIMESTAMP) AS happened_at,
        -- The ratings of these anime are in the other file.
        TRUE AS is_listing,
        CASE WHEN unreadable THEN 'unparsable' END AS problem
    FROM raw.animelist
),

result AS (
    SELECT * FROM ratings
    UNION ALL
    SELECT * FROM list_entries
)

SELECT * FROM result
