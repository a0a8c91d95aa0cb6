-- The raw interactions that are not rejected.
-- materialised as: view
SELECT
    user_id,
    item_id,
    rating,
    status,
    progress,
    weight,
    happened_at,
    is_listing
FROM staging.interactions_with_reason
WHERE reason IS NULL
