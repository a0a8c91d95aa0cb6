-- Ratings of ratings.csv; who rates a film has seen it.
-- materialised as: view
WITH source AS (
    SELECT
        position,
        raw,
        "userId" AS user_id,
        "movieId" AS item_id,
        rating,
        "timestamp" AS seconds
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
        -- The oldest ratings are of 1995: an earlier time, or one after 2100, is no time.
        CASE WHEN seconds BETWEEN 788918400 AND 4102444800 THEN epoch_ms(seconds * 1000) END AS happened_at,
        FALSE AS is_listing,
        CASE WHEN rating IS NULL THEN 'unparsable' END AS problem
    FROM source
)

SELECT * FROM result
