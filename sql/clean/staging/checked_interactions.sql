-- Raw interactions, each with what is wrong with it on its own; NULL where nothing is.
-- materialised as: view
WITH source AS (
    SELECT * FROM staging.all_interactions
),

result AS (
    SELECT
        source.*,
        CASE
            WHEN source.problem IS NOT NULL THEN source.problem
            WHEN source.user_id IS NULL OR source.item_id IS NULL THEN 'unparsable'
            WHEN source.rating NOT BETWEEN domain.scale_low AND domain.scale_high THEN 'out of scale'
            WHEN items.item_id IS NULL THEN 'unknown item'
        END AS fault
    FROM source
    LEFT JOIN clean.items ON source.item_id = items.item_id
    CROSS JOIN staging.domain
)

SELECT * FROM result
