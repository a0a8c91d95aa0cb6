-- The interactions that nothing speaks against.
SELECT
    user_id,
    item_id,
    rating,
    status,
    progress,
    happened_at,
    is_listing
FROM staging.interactions_with_reason
WHERE reason IS NULL
