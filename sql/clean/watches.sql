-- Every interaction of a user with a title, rated or not; `is_rated` tells which are in clean.ratings.
WITH files AS (
    SELECT min(source_file) <> max(source_file) AS are_several
    FROM staging.interactions
),

-- Within one file a user has a title once: each row is a watch.
single AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        happened_at AS watched_at,
        rating IS NOT NULL AS is_rated
    FROM staging.judged_interactions
    WHERE
        reason IS NULL
        AND (SELECT NOT files.are_several FROM files)
),

unrated AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        happened_at
    FROM staging.judged_interactions
    WHERE
        reason IS NULL
        AND rating IS NULL
        AND (SELECT files.are_several FROM files)
),

rated AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        happened_at
    FROM staging.judged_interactions
    WHERE
        reason IS NULL
        AND rating IS NOT NULL
        AND (SELECT files.are_several FROM files)
),

-- Where one file rates a title and another lists it, they are one watch; the list knows how far the user got.
merged AS (
    SELECT
        coalesce(unrated.user_id, rated.user_id) AS user_id,
        coalesce(unrated.item_id, rated.item_id) AS item_id,
        coalesce(unrated.status, rated.status) AS status,
        coalesce(unrated.progress, rated.progress) AS progress,
        coalesce(unrated.happened_at, rated.happened_at) AS watched_at,
        rated.user_id IS NOT NULL AS is_rated
    FROM unrated
    FULL OUTER JOIN rated
        ON
            unrated.user_id = rated.user_id
            AND unrated.item_id = rated.item_id
),

result AS (
    SELECT * FROM single
    UNION ALL
    SELECT * FROM merged
)

SELECT * FROM result
