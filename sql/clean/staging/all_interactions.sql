-- Raw interactions of the source, and those that users of the service have added.
-- materialised as: view
SELECT
    source_file,
    position,
    user_id,
    item_id,
    rating,
    status,
    progress,
    weight,
    happened_at,
    is_listing,
    problem
FROM staging.interactions
UNION ALL
SELECT
    source_file,
    position,
    user_id,
    item_id,
    rating,
    cast(NULL AS VARCHAR) AS status,
    cast(NULL AS INTEGER) AS progress,
    cast(NULL AS FLOAT) AS weight,
    happened_at,
    is_listing,
    problem
FROM staging.feedback
