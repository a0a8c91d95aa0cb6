-- The rating that counts of each user and item, on the scale of the domain.
-- materialised as: table
SELECT
    user_id,
    item_id,
    cast(rating AS FLOAT) AS rating,
    happened_at AS rated_at
FROM staging.kept_interactions
WHERE rating IS NOT NULL
