-- Rows of rating.csv; each means that the user watched the anime, and some say how it was liked.
-- materialised as: view
WITH source AS (
    SELECT
        position,
        raw,
        user_id,
        anime_id AS item_id,
        rating,
        unreadable
    FROM raw.rating
),

result AS (
    SELECT
        'rating.csv' AS source_file,
        position,
        raw,
        user_id,
        item_id,
        -- The publisher writes -1 for "watched, not rated".
        CASE WHEN rating NOT IN (-1, 0) THEN rating END AS rating,
        cast(NULL AS VARCHAR) AS status,
        cast(NULL AS INTEGER) AS progress,
        cast(NULL AS FLOAT) AS weight,
        cast(NULL AS TIMESTAMP) AS happened_at,
        FALSE AS is_listing,
        CASE WHEN unreadable OR rating IS NULL THEN 'unparsable' END AS problem
    FROM source
)

SELECT * FROM result
