-- The interactions that nothing speaks against.
SELECT
    user_id,
    item_id,
    rating,
    status,
    progress,
    happened_at,
    is_listing
FROM staging.judged_interactions
WHERE reason IS NULL
