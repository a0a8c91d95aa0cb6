-- List entries of animelists_cleaned.csv, of the users in users_cleaned.csv.
-- materialised as: view
WITH users AS (
    SELECT
        username,
        pseudonym(username) AS user_id
    FROM raw.users_cleaned
    GROUP BY username
),

source AS (
    SELECT
        entries.position,
        entries.raw,
        entries.username,
        users.user_id,
        entries.anime_id AS item_id,
        entries.my_score,
        entries.my_status,
        entries.my_watched_episodes,
        entries.my_last_updated AS happened_at,
        entries.unreadable
    FROM raw.animelists_cleaned AS entries
    LEFT JOIN users ON entries.username = users.username
),

result AS (
    SELECT
        'animelists_cleaned.csv' AS source_file,
        position,
        raw,
        user_id,
        item_id,
        -- A score of 0 stands for "not rated".
        CASE WHEN my_score NOT IN (-1, 0) THEN my_score END AS rating,
        CASE my_status
            WHEN 1 THEN 'watching'
            WHEN 2 THEN 'completed'
            WHEN 3 THEN 'on_hold'
            WHEN 4 THEN 'dropped'
            WHEN 6 THEN 'plan_to_watch'
        END AS status,
        my_watched_episodes AS progress,
        cast(NULL AS FLOAT) AS weight,
        happened_at,
        FALSE AS is_listing,
        CASE
            WHEN unreadable OR username IS NULL THEN 'unparsable'
            WHEN user_id IS NULL THEN 'unknown user'
        END AS problem
    FROM source
)

SELECT * FROM result
