-- The genres of each title, as exact names.
WITH source AS (
    SELECT
        items.item_idx,
        titles.genres
    FROM clean.titles
    INNER JOIN features.items ON titles.item_id = items.item_id
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
