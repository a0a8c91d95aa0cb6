-- Every item, numbered from 0 in the order of the ids as the source writes them.
-- materialised as: table
SELECT
    cast(row_number() OVER (ORDER BY source_id, item_id) - 1 AS INTEGER) AS item_idx,
    item_id
FROM clean.items
ORDER BY
    source_id,
    item_id
