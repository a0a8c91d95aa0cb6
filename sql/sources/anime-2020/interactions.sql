-- The ratings of rating_complete.csv (anime watched to the end and rated) and the list entries of animelist.csv.
-- These have the ratings where the other file is missing.
-- materialised as: view
WITH ratings_file AS (
    SELECT count(*) > 0 AS is_there
    FROM raw.rating_complete
),

ratings AS (
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
        animelist.position,
        animelist.raw,
        animelist.user_id,
        animelist.anime_id AS item_id,
        -- A score in the list may be of an unfinished anime: it counts only where rating_complete.csv repeats it, or
        -- where there is no such file.
        CASE WHEN NOT ratings_file.is_there AND animelist.rating > 0 THEN animelist.rating END AS rating,
        CASE animelist.watching_status
            WHEN 1 THEN 'watching'
            WHEN 2 THEN 'completed'
            WHEN 3 THEN 'on_hold'
            WHEN 4 THEN 'dropped'
            WHEN 6 THEN 'plan_to_watch'
        END AS status,
        animelist.watched_episodes AS progress,
        cast(NULL AS FLOAT) AS weight,
        cast(NULL AS TIMESTAMP) AS happened_at,
        -- The ratings of these anime are in the other file.
        ratings_file.is_there AS is_listing,
        CASE WHEN animelist.unreadable THEN 'unparsable' END AS problem
    FROM raw.animelist
    CROSS JOIN ratings_file
),

result AS (
    SELECT * FROM ratings
    UNION ALL
    SELECT * FROM list_entries
)

SELECT * FROM result
