-- One interaction for all rows of a user and an item that are not rejected, whose weights add up.
-- A row without a weight counts as 1; all but the weight is that of the latest row that has it.
-- materialised as: view
WITH source AS (
    SELECT
        *,
        struct_pack(
            happened_at := coalesce(happened_at, cast('0001-01-01' AS TIMESTAMP)),
            source_file := source_file,
            position := position
        ) AS place
    FROM staging.interactions_with_reason
    WHERE reason IS NULL
),

result AS (
    SELECT
        user_id,
        item_id,
        is_listing,
        max_by(rating, CASE WHEN rating IS NOT NULL THEN place END) AS rating,
        max_by(status, CASE WHEN status IS NOT NULL THEN place END) AS status,
        max_by(progress, CASE WHEN progress IS NOT NULL THEN place END) AS progress,
        cast(sum(coalesce(weight, 1)) AS FLOAT) AS weight,
        max(happened_at) AS happened_at
    FROM source
    GROUP BY
        user_id,
        item_id,
        is_listing
)

SELECT
    user_id,
    item_id,
    rating,
    status,
    progress,
    weight,
    happened_at,
    is_listing
FROM result
