-- Cut by time, then half of what each user did after the cut is folded in, and the later half is the test fold.
-- materialised as: table
WITH ordered AS (
    SELECT
        *,
        -- Close to 0 for the first time, 1 for the last; equal times have one place.
        CASE WHEN "at" IS NOT NULL THEN cume_dist() OVER (PARTITION BY "at" IS NULL ORDER BY "at") END AS place
    FROM protocol.pairs
),

cut AS (
    SELECT
        ordered.user_id,
        ordered.item_id,
        ordered.rating,
        ordered.weight,
        ordered."at",
        ordered.draw,
        -- A pair without a time is in the training fold.
        coalesce(ordered.place > 1 - parameters.test_share, FALSE) AS is_late
    FROM ordered
    CROSS JOIN protocol.parameters
),

late AS (
    SELECT
        user_id,
        "at",
        row_number() OVER (PARTITION BY user_id ORDER BY "at", draw, item_id) AS place,
        count(*) OVER (PARTITION BY user_id) AS pairs_of_user
    FROM cut
    WHERE is_late
),

-- The moment at which each user is recommended to. What happened at this moment itself is not known yet.
moments AS (
    SELECT
        user_id,
        "at" AS moment
    FROM late
    WHERE place = floor(pairs_of_user / 2) + 1
)

SELECT
    user_id,
    item_id,
    rating,
    weight,
    "at",
    'train' AS fold
FROM cut
WHERE NOT is_late
UNION ALL
SELECT
    cut.user_id,
    cut.item_id,
    cut.rating,
    cut.weight,
    cut."at",
    CASE WHEN cut.is_late AND cut."at" >= moments.moment THEN 'test' ELSE 'fold_in' END AS fold
FROM cut
INNER JOIN moments ON cut.user_id = moments.user_id
