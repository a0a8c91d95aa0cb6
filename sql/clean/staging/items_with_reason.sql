-- Raw titles, each with the reason why it is dropped; NULL: it is kept.
WITH source AS (
    SELECT
        *,
        -- Of several lines with one id the last counts.
        row_number() OVER (
            PARTITION BY item_id
            ORDER BY position DESC
        ) AS rank_from_last
    FROM staging.items
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
