-- Each list of genres as items write it, and the tidy list: in the same order, each genre once and in one spelling.
-- materialised as: table
WITH written AS (
    SELECT DISTINCT genres
    FROM staging.items
    WHERE genres IS NOT NULL
),

listed AS (
    SELECT
        written.genres,
        tokens.genre,
        tokens.place
    FROM written
    CROSS JOIN unnest(written.genres) WITH ORDINALITY AS tokens (genre, place)
),

spelled AS (
    SELECT
        listed.genres,
        spellings.spelling,
        min(listed.place) AS place
    FROM listed
    INNER JOIN staging.genre_spellings AS spellings ON listed.genre = spellings.genre
    GROUP BY listed.genres, spellings.spelling
),

-- Sorted as pairs of place and name, as an order inside the aggregate is not portable.
result AS (
    SELECT
        spelled.genres,
        list_transform(
            list_sort(array_agg(struct_pack(place := spelled.place, spelling := spelled.spelling))),
            LAMBDA pair: pair.spelling
        ) AS tidy_genres
    FROM spelled
    GROUP BY spelled.genres
)

SELECT * FROM result
