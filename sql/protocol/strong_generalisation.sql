-- Of users whom the training part never saw, some of their likes are told and the others are to be found.
WITH likes AS (
    SELECT pairs.*
    FROM protocol.pairs
    CROSS JOIN protocol.parameters
    WHERE pairs.rating >= parameters.like_threshold OR pairs.rating IS NULL
),

active AS (
    SELECT
        likes.user_id,
        likes.user_draw
    FROM likes
    CROSS JOIN protocol.parameters
    GROUP BY likes.user_id, likes.user_draw, parameters.likes_at_least
    HAVING count(*) >= parameters.likes_at_least
),

placed AS (
    SELECT
        user_id,
        row_number() OVER (ORDER BY user_draw, user_id) AS place,
        count(*) OVER () AS users
    FROM active
),

-- The share of the users, or the least number, but never more than half of them.
divided AS (
    SELECT
        placed.user_id,
        placed.place <= least(
            greatest(parameters.users_at_least, round(placed.users * parameters.users_share)), floor(placed.users / 2)
        ) AS is_new
    FROM placed
    CROSS JOIN protocol.parameters
),

known AS (
    SELECT likes.*
    FROM likes
    INNER JOIN divided ON likes.user_id = divided.user_id
    WHERE NOT divided.is_new
),

known_titles AS (
    SELECT DISTINCT item_id FROM known
),

-- A title that nobody in the training part likes can be neither told nor found.
told_or_found AS (
    SELECT
        likes.*,
        row_number() OVER (PARTITION BY likes.user_id ORDER BY likes.draw, likes.item_id) AS place,
        count(*) OVER (PARTITION BY likes.user_id) AS pairs_of_user
    FROM likes
    INNER JOIN divided ON likes.user_id = divided.user_id
    INNER JOIN known_titles ON likes.item_id = known_titles.item_id
    WHERE divided.is_new
)

SELECT
    user_id,
    item_id,
    rating,
    "at",
    'train' AS fold
FROM known
UNION ALL
SELECT
    told_or_found.user_id,
    told_or_found.item_id,
    told_or_found.rating,
    told_or_found."at",
    CASE
        WHEN
            told_or_found.place <= greatest(1, round(told_or_found.pairs_of_user * parameters.test_share))
            THEN 'test'
        ELSE 'fold_in'
    END AS fold
FROM told_or_found
CROSS JOIN protocol.parameters
WHERE told_or_found.pairs_of_user >= 2
