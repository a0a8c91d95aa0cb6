-- Every item, numbered from 0 in the order of the ids.
-- materialised as: table
SELECT
    cast(row_number() OVER (ORDER BY item_id) - 1 AS INTEGER) AS item_idx,
    item_id
FROM clean.items
ORDER BY item_id
