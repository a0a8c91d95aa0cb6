-- Every user with any interaction, numbered from 0 in the order of the ids as the source writes them.
-- materialised as: table
WITH source AS (
    SELECT DISTINCT user_id FROM clean.interactions
),

-- An id that is a text has its place, not that of its key.
named AS (
    SELECT
        source.user_id,
        users.source_id
    FROM source
    LEFT JOIN clean.users AS users ON source.user_id = users.user_id
)

SELECT
    cast(row_number() OVER (ORDER BY source_id, user_id) - 1 AS INTEGER) AS user_idx,
    user_id
FROM named
ORDER BY
    source_id,
    user_id
