-- The interactions of a declared dataset.
-- materialised as: view
WITH source AS (
    SELECT * FROM raw.interactions
),

result AS (
    SELECT
        source_file,
        position,
        user_id,
        item_id,
        rating,
        status,
        progress,
        weight,
        time AS happened_at,
        FALSE AS is_listing,
        CASE
            WHEN unreadable THEN 'unparsable'
            WHEN weight <= 0 THEN 'weight not above zero'
        END AS problem
    FROM source
)

SELECT * FROM result
