-- The genres of each title, as exact names.
WITH source AS (
    SELECT
        indexed.item_idx,
        known.genres
    FROM clean.items AS known
    INNER JOIN features.items AS indexed ON known.item_id = indexed.item_id
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
