-- Rows that another row with the same user and item overrides. Lists are apart: they complete the other interactions.
-- materialised as: table of repeated pairs
WITH source AS (
    SELECT * FROM staging.checked_interactions
    WHERE fault IS NULL
),

-- Few pairs repeat: finding them first keeps the ordering below small.
repeated AS (
    SELECT
        is_listing,
        user_id,
        item_id
    FROM source
    GROUP BY is_listing, user_id, item_id
    HAVING count(*) > 1
),

ranked AS (
    SELECT
        source.source_file,
        source.position,
        -- The latest counts; without times, or at the same time, the last in the last file by name.
        row_number() OVER (
            PARTITION BY source.is_listing, source.user_id, source.item_id
            ORDER BY source.happened_at DESC NULLS LAST, source.source_file DESC, source.position DESC
        ) AS place
    FROM source
    INNER JOIN repeated
        ON
            source.is_listing = repeated.is_listing
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
