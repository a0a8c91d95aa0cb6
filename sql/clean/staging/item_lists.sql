-- The genres and creators of each raw item: in the order of the source, each once and in one spelling.
-- materialised as: table
WITH tokens AS (
    SELECT
        items.position,
        'genre' AS list,
        tokens.place,
        spellings.spelling AS name
    FROM staging.items
    CROSS JOIN unnest(items.genres) WITH ORDINALITY AS tokens (genre, place)
    INNER JOIN staging.genre_spellings AS spellings
        ON tokens.genre = spellings.genre
    UNION ALL
    SELECT
        items.position,
        'creator' AS list,
        tokens.place,
        known_text(tokens.creator) AS name
    FROM staging.items
    CROSS JOIN unnest(items.creators) WITH ORDINALITY AS tokens (creator, place)
),

first_places AS (
    SELECT
        position,
        list,
        name,
        min(place) AS place
    FROM tokens
    WHERE name IS NOT NULL
    GROUP BY position, list, name
),

-- Sorted as pairs of place and name, as an order inside the aggregate is not portable.
result AS (
    SELECT
        first_places.position,
        first_places.list,
        list_transform(
            list_sort(array_agg(struct_pack(place := first_places.place, name := first_places.name))),
            LAMBDA pair: pair.name
        ) AS names
    FROM first_places
    GROUP BY first_places.position, first_places.list
)

SELECT * FROM result
