-- Every interaction of a user with a title, rated or not; `is_rated` tells which are in clean.ratings.
WITH listed AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
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
        happened_at,
        rating IS NOT NULL AS is_rated
    FROM staging.kept_interactions
    WHERE NOT is_listing
),

-- Where one file rates a title and another lists it, they are one watch; the list knows how far the user got.
result AS (
    SELECT
        coalesce(listed.user_id, others.user_id) AS user_id,
        coalesce(listed.item_id, others.item_id) AS item_id,
        coalesce(listed.status, others.status) AS status,
        coalesce(listed.progress, others.progress) AS progress,
        coalesce(listed.happened_at, others.happened_at) AS watched_at,
        coalesce(others.is_rated, FALSE) AS is_rated
    FROM others
    FULL OUTER JOIN listed
        ON
            others.user_id = listed.user_id
            AND others.item_id = listed.item_id
)

SELECT * FROM result
