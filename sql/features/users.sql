-- Every user with any interaction, numbered from 0 in the order of the ids.
-- materialised as: table
WITH source AS (
    SELECT DISTINCT user_id FROM clean.interactions
)

SELECT
    cast(row_number() OVER (ORDER BY user_id) - 1 AS INTEGER) AS user_idx,
    user_id
FROM source
ORDER BY user_id
