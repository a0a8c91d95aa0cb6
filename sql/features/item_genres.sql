-- The genres of each item, one row for each.
-- materialised as: table
WITH source AS (
    SELECT
        indexed.item_idx,
        described.genres
    FROM clean.items AS described
    INNER JOIN features.items AS indexed ON described.item_id = indexed.item_id
),

tidy AS (
    SELECT
        source.item_idx,
        trim(tokens.genre) AS genre
    FROM source
    CROSS JOIN unnest(source.genres) AS tokens (genre)
),

result AS (
    SELECT DISTINCT
        item_idx,
        genre
    FROM tidy
    WHERE genre <> ''
)

SELECT * FROM result
ORDER BY
    item_idx,
    genre
