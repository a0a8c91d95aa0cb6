-- Films of movies.csv.
-- materialised as: view
WITH links AS (
    SELECT
        cast("movieId" AS VARCHAR) AS item,
        max("imdbId") AS imdb_id
    FROM raw.links
    GROUP BY "movieId"
),

source AS (
    SELECT
        movies.position,
        movies.raw,
        movies."movieId" AS item,
        trim(unescape_html(movies.title)) AS title,
        nullif(trim(movies.genres), '(no genres listed)') AS genres,
        tagged.tags,
        links.imdb_id
    FROM raw.movies AS movies
    LEFT JOIN staging.item_tags AS tagged ON trim(movies."movieId") = tagged.item
    LEFT JOIN links ON trim(movies."movieId") = links.item
),

result AS (
    SELECT
        'movies.csv' AS source_file,
        position,
        raw,
        item,
        cast(NULL AS VARCHAR) AS source_id,
        -- The year is part of the title: "Heat (1995)", of a series "Cosmos (2014-)" or "Death Note (2006–2007)".
        -- It gets a column of its own and leaves the title; a title that is nothing but a year keeps it.
        coalesce(nullif(regexp_replace(title, '\s*\([0-9]{4}(\s*[-–]\s*([0-9]{4})?)?\)$', ''), ''), title) AS title,
        cast(NULL AS VARCHAR) AS title_english,
        'Movie' AS kind,
        try_cast(nullif(regexp_extract(title, '\(([0-9]{4})(\s*[-–]\s*([0-9]{4})?)?\)$', 1), '') AS SMALLINT) AS year,
        string_split(genres, '|') AS genres,
        cast(NULL AS VARCHAR[]) AS creators,
        tags,
        cast(NULL AS VARCHAR) AS language,
        cast(NULL AS INTEGER) AS episodes,
        cast(NULL AS INTEGER) AS members,
        cast(NULL AS FLOAT) AS site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        cast(NULL AS VARCHAR) AS image_url,
        'https://www.imdb.com/title/tt' || right('0000000' || imdb_id, greatest(7, length(imdb_id))) || '/' AS page_url,
        cast(NULL AS BOOLEAN) AS is_adult
    FROM source
)

SELECT * FROM result
