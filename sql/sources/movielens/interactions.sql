-- Ratings of ratings.csv; who rates a film has seen it.
-- materialised as: view
WITH source AS (
    SELECT
        position,
        raw,
        "userId" AS user_id,
        "movieId" AS item_id,
        rating,
        "timestamp" AS happened_at,
        unreadable
    FROM raw.ratings
),

result AS (
    SELECT
        'ratings.csv' AS source_file,
        position,
        raw,
        user_id,
        item_id,
        rating,
        'completed' AS status,
        cast(NULL AS INTEGER) AS progress,
        cast(NULL AS FLOAT) AS weight,
        happened_at,
        FALSE AS is_listing,
        CASE WHEN unreadable OR rating IS NULL THEN 'unparsable' END AS problem
    FROM source
)

SELECT * FROM result
