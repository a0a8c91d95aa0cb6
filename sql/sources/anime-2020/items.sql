-- Anime of anime.csv, with the synopsis of anime_with_synopsis.csv.
-- materialised as: view
WITH synopses AS (
    SELECT
        trim("MAL_ID") AS anime_id,
        max(unescape_html(trim("Synopsis"))) AS synopsis
    FROM raw.anime_with_synopsis
    -- "No synopsis information has been added to this title. Help improve our database …" is none.
    WHERE "Synopsis" NOT LIKE 'No synopsis % been added %'
    GROUP BY trim("MAL_ID")
),

source AS (
    SELECT
        *,
        trim("MAL_ID") AS anime_id,
        known_text("Genres") AS listed_genres,
        known_text("Rating") AS age_rating
    FROM raw.anime
),

result AS (
    SELECT
        'anime.csv' AS source_file,
        source.position,
        source.raw,
        source.anime_id AS item,
        cast(NULL AS VARCHAR) AS source_id,
        unescape_html(source."Name") AS title,
        unescape_html(source."English name") AS title_english,
        source."Type" AS kind,
        -- "Apr 3, 1998 to Apr 24, 1999", "2021 to ?": the first year is that of the first airing.
        try_cast(nullif(regexp_extract(source."Aired", '([0-9]{4})', 1), '') AS SMALLINT) AS year,
        string_split(source.listed_genres, ',') AS genres,
        string_split_regex(known_text(unescape_html(source."Studios")), '\s*,\s*') AS creators,
        cast(NULL AS VARCHAR[]) AS tags,
        cast(NULL AS VARCHAR) AS language,
        -- A number of 0 means that it is unknown.
        nullif(try_cast(source."Episodes" AS INTEGER), 0) AS episodes,
        nullif(try_cast(source."Members" AS INTEGER), 0) AS members,
        nullif(try_cast(source."Score" AS FLOAT), 0) AS site_score,
        synopses.synopsis,
        cast(NULL AS VARCHAR) AS image_url,
        'https://myanimelist.net/anime/' || trim(source.anime_id) AS page_url,
        CASE
            WHEN regexp_matches(lower(source.listed_genres), '(^|,)\s*hentai\s*(,|$)') THEN TRUE
            WHEN source.age_rating LIKE 'Rx%' THEN TRUE
            WHEN source.listed_genres IS NOT NULL OR source.age_rating IS NOT NULL THEN FALSE
        END AS is_adult
    FROM source
    LEFT JOIN synopses ON source.anime_id = synopses.anime_id
)

SELECT * FROM result
