-- Films of movies.csv.
WITH source AS (
    SELECT
        position,
        raw,
        trim("movieId") AS movie_id,
        trim(unescape_html(title)) AS title,
        nullif(trim(genres), '(no genres listed)') AS genres
    FROM raw.movies
),

tidy AS (
    SELECT
        position,
        raw,
        CASE WHEN regexp_matches(movie_id, '^[0-9]+$') THEN try_cast(movie_id AS INTEGER) END AS item_id,
        -- The year is part of the title: "Heat (1995)", of a series "Cosmos (2014-)" or "Death Note (2006–2007)".
        -- It gets a column of its own and leaves the title; a title that is nothing but a year keeps it.
        coalesce(nullif(regexp_replace(title, '\s*\([0-9]{4}(\s*[-–]\s*([0-9]{4})?)?\)$', ''), ''), title) AS title,
        try_cast(nullif(regexp_extract(title, '\(([0-9]{4})(\s*[-–]\s*([0-9]{4})?)?\)$', 1), '') AS SMALLINT) AS year,
        string_split(genres, '|') AS genres
    FROM source
),

result AS (
    SELECT
        'movies.csv' AS source_file,
        position,
        raw,
        item_id,
        title,
        cast(NULL AS VARCHAR) AS title_english,
        'Movie' AS kind,
        year,
        genres,
        cast(NULL AS INTEGER) AS episodes,
        cast(NULL AS INTEGER) AS members,
        cast(NULL AS FLOAT) AS site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        cast(NULL AS BOOLEAN) AS is_adult
    FROM tidy
)

SELECT * FROM result
