-- Each genre as items write it, and the spelling that most items use of all that differ in case or blanks only.
-- materialised as: table
WITH written AS (
    SELECT
        tokens.genre,
        count(*) AS items
    FROM staging.items
    CROSS JOIN unnest(items.genres) AS tokens (genre)
    GROUP BY tokens.genre
),

tidy AS (
    SELECT
        genre,
        items,
        known_text(regexp_replace(genre, '\s+', ' ', 'g')) AS spelling,
        lower(regexp_replace(genre, '\s+', '', 'g')) AS genre_key
    FROM written
),

counted AS (
    SELECT
        genre_key,
        spelling,
        sum(items) AS items
    FROM tidy
    WHERE spelling IS NOT NULL
    GROUP BY genre_key, spelling
),

ranked AS (
    SELECT
        genre_key,
        spelling,
        row_number() OVER (
            PARTITION BY genre_key
            ORDER BY items DESC, spelling ASC
        ) AS place
    FROM counted
),

result AS (
    SELECT
        tidy.genre,
        ranked.spelling
    FROM tidy
    INNER JOIN ranked ON tidy.genre_key = ranked.genre_key
    WHERE ranked.place = 1
)

SELECT * FROM result
