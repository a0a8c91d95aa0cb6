-- The last share of the pairs by time is the test; pairs of one moment stay together.
WITH ordered AS (
    SELECT
        *,
        -- 0 for the first moment, 1 for the last; equal moments are equal. What has no time is never held out.
        CASE WHEN "at" IS NOT NULL THEN cume_dist() OVER (PARTITION BY "at" IS NULL ORDER BY "at") END AS place
    FROM protocol.pairs
)

SELECT
    ordered.user_id,
    ordered.item_id,
    ordered.rating,
    ordered."at",
    CASE WHEN ordered.place > 1 - parameters.test_share THEN 'test' ELSE 'train' END AS fold
FROM ordered
CROSS JOIN protocol.parameters
