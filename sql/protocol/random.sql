-- A share of the pairs, drawn by a hash of user, item and seed, is the test fold.
-- materialised as: table
SELECT
    pairs.user_id,
    pairs.item_id,
    pairs.rating,
    pairs.weight,
    pairs."at",
    CASE WHEN pairs.draw >= 1 - parameters.test_share THEN 'test' ELSE 'train' END AS fold
FROM protocol.pairs
CROSS JOIN protocol.parameters
