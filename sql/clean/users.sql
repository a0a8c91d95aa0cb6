-- The ids of users that are texts, as the source writes them; none where they are numbers or may not be kept.
-- materialised as: table
SELECT
    users.user_id,
    users.source_id
FROM staging.users
WHERE users.user_id IN (SELECT interactions.user_id FROM clean.interactions)
ORDER BY users.user_id
