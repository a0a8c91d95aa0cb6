-- Raw items, each with the reason why it is rejected; NULL where it is kept.
-- materialised as: table
WITH source AS (
    SELECT
        *,
        -- Of several rows with one id the last counts.
        row_number() OVER (
            PARTITION BY item_id
            ORDER BY position DESC
        ) AS rank_from_last
    FROM staging.tidy_items
),

result AS (
    SELECT
        *,
        CASE
            WHEN item_id IS NULL THEN 'unparsable'
            WHEN rank_from_last > 1 THEN 'duplicate'
        END AS reason
    FROM source
)

SELECT * FROM result
