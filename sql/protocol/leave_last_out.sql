-- The last item that each user liked is the test fold, what came before it the training fold.
-- materialised as: table
WITH ordered AS (
    SELECT
        pairs.user_id,
        pairs.item_id,
        pairs.rating,
        pairs.weight,
        pairs."at",
        coalesce(pairs.rating >= parameters.like_threshold, TRUE) AS is_liked,
        -- Items with one time are in a fixed random order.
        row_number() OVER (PARTITION BY pairs.user_id ORDER BY pairs."at", pairs.draw, pairs.item_id) AS place
    FROM protocol.pairs
    CROSS JOIN protocol.parameters
    WHERE pairs."at" IS NOT NULL
),

lasting AS (
    SELECT
        *,
        max(CASE WHEN is_liked THEN place END) OVER (PARTITION BY user_id) AS last_liked
    FROM ordered
)

SELECT
    user_id,
    item_id,
    rating,
    weight,
    "at",
    -- A user with nothing before the last like, or without a like, is in the training fold only.
    CASE WHEN place = last_liked AND place > 1 THEN 'test' ELSE 'train' END AS fold
FROM lasting
WHERE last_liked IS NULL OR place <= last_liked
