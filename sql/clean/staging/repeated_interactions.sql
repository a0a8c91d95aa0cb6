-- Rows that another row of the same file with the same user and item overrides.
-- materialised as: table of repeated pairs
WITH source AS (
    SELECT * FROM staging.checked_interactions
    WHERE fault IS NULL
),

-- Few pairs repeat: finding them first keeps the ordering below small.
repeated AS (
    SELECT
        source_file,
        user_id,
        item_id
    FROM source
    GROUP BY source_file, user_id, item_id
    HAVING count(*) > 1
),

ranked AS (
    SELECT
        source.source_file,
        source.position,
        -- The latest counts; without times, or at the same time, the last in the file.
        row_number() OVER (
            PARTITION BY source.source_file, source.user_id, source.item_id
            ORDER BY source.happened_at DESC NULLS LAST, source.position DESC
        ) AS place
    FROM source
    INNER JOIN repeated
        ON
            source.source_file = repeated.source_file
            AND source.user_id = repeated.user_id
            AND source.item_id = repeated.item_id
),

result AS (
    SELECT
        source_file,
        position
    FROM ranked
    WHERE place > 1
)

SELECT * FROM result
