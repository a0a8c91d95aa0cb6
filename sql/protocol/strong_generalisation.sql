-- Users who are not in the training fold: some of their likes are folded in, the others are the test fold.
-- materialised as: table
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

-- The share of the users, or the least number, but never more than half of the users.
drawn AS (
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
    INNER JOIN drawn ON likes.user_id = drawn.user_id
    WHERE NOT drawn.is_new
),

known_items AS (
    SELECT DISTINCT item_id FROM known
),

-- An item that no user in the training fold likes is neither folded in nor tested.
held_out AS (
    SELECT
        likes.*,
        row_number() OVER (PARTITION BY likes.user_id ORDER BY likes.draw, likes.item_id) AS place,
        count(*) OVER (PARTITION BY likes.user_id) AS pairs_of_user
    FROM likes
    INNER JOIN drawn ON likes.user_id = drawn.user_id
    INNER JOIN known_items ON likes.item_id = known_items.item_id
    WHERE drawn.is_new
)

SELECT
    user_id,
    item_id,
    rating,
    weight,
    "at",
    'train' AS fold
FROM known
UNION ALL
SELECT
    held_out.user_id,
    held_out.item_id,
    held_out.rating,
    held_out.weight,
    held_out."at",
    CASE
        WHEN
            held_out.place <= greatest(1, round(held_out.pairs_of_user * parameters.test_share))
            THEN 'test'
        ELSE 'fold_in'
    END AS fold
FROM held_out
CROSS JOIN protocol.parameters
WHERE held_out.pairs_of_user >= 2
