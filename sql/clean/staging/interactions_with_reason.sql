-- Raw interactions, each with the reason why it is rejected; NULL where it is kept.
-- materialised as: view
WITH source AS (
    SELECT * FROM staging.checked_interactions
),

result AS (
    SELECT
        source.*,
        CASE
            WHEN source.fault IS NOT NULL THEN source.fault
            WHEN repeated.position IS NOT NULL THEN 'duplicate'
        END AS reason
    FROM source
    LEFT JOIN staging.repeated_interactions AS repeated
        ON
            source.source_file = repeated.source_file
            AND source.position = repeated.position
)

SELECT * FROM result
