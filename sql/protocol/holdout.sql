-- The folds of the lineage: its test fold is the test fold, its training and validation folds are the training fold.
-- materialised as: table
SELECT
    pairs.user_id,
    pairs.item_id,
    pairs.rating,
    pairs.weight,
    pairs."at",
    CASE WHEN interactions.fold = 'test' THEN 'test' ELSE 'train' END AS fold
FROM protocol.pairs
INNER JOIN features.users ON pairs.user_id = users.user_id
INNER JOIN features.items ON pairs.item_id = items.item_id
INNER JOIN features.interactions
    ON users.user_idx = interactions.user_idx AND items.item_idx = interactions.item_idx
