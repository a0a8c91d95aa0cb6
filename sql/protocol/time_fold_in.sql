-- Of a cut by time, what each user did after it until their moment is folded in, and only the rest is the test fold.
-- materialised as: table
SELECT
    user_id,
    item_id,
    rating,
    weight,
    "at",
    'train' AS fold
FROM protocol.cut
WHERE fold = 'train'
UNION ALL
SELECT
    cut.user_id,
    cut.item_id,
    cut.rating,
    cut.weight,
    cut."at",
    CASE WHEN cut.fold = 'test' AND cut."at" >= moments.moment THEN 'test' ELSE 'fold_in' END AS fold
FROM protocol.cut
INNER JOIN protocol.moments ON cut.user_id = moments.user_id
