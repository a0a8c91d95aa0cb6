-- Every interaction of a user with an item, rated or not; the rated ones are in clean.ratings as well.
-- materialised as: blocks of users of staging.kept_interactions
WITH listed AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        weight,
        happened_at
    FROM staging.kept_interactions
    WHERE is_listing
),

others AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        weight,
        happened_at,
        rating IS NOT NULL AS is_rated
    FROM staging.kept_interactions
    WHERE NOT is_listing
),

-- Where one file has the rating of an item and another one its entry in the user's list, they are one interaction;
-- the list says how far the user got.
result AS (
    SELECT
        coalesce(listed.user_id, others.user_id) AS user_id,
        coalesce(listed.item_id, others.item_id) AS item_id,
        coalesce(listed.status, others.status) AS status,
        coalesce(listed.progress, others.progress) AS progress,
        coalesce(listed.weight, others.weight) AS weight,
        coalesce(listed.happened_at, others.happened_at) AS "at",
        coalesce(others.is_rated, FALSE) AS is_rated
    FROM others
    FULL OUTER JOIN listed
        ON
            others.user_id = listed.user_id
            AND others.item_id = listed.item_id
)

SELECT * FROM result
