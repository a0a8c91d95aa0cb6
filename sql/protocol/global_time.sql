-- The last share of the pairs by time is the test fold; pairs with one time stay together.
-- materialised as: table
WITH ordered AS (
    SELECT
        *,
        -- Close to 0 for the first time, 1 for the last; equal times have one place.
        -- A pair without a time is never held out.
        CASE WHEN "at" IS NOT NULL THEN cume_dist() OVER (PARTITION BY "at" IS NULL ORDER BY "at") END AS place
    FROM protocol.pairs
)

SELECT
    ordered.user_id,
    ordered.item_id,
    ordered.rating,
    ordered.weight,
    ordered."at",
    CASE WHEN ordered.place > 1 - parameters.test_share THEN 'test' ELSE 'train' END AS fold
FROM ordered
CROSS JOIN protocol.parameters
