-- Anime of anime.csv.
-- materialised as: view
WITH result AS (
    SELECT
        'anime.csv' AS source_file,
        position,
        raw,
        anime_id AS item,
        cast(NULL AS VARCHAR) AS source_id,
        unescape_html(name) AS title,
        cast(NULL AS VARCHAR) AS title_english,
        type AS kind,
        cast(NULL AS SMALLINT) AS year,
        string_split(known_text(genre), ',') AS genres,
        cast(NULL AS VARCHAR[]) AS creators,
        cast(NULL AS VARCHAR[]) AS tags,
        cast(NULL AS VARCHAR) AS language,
        -- A number of 0 means that it is unknown.
        nullif(try_cast(episodes AS INTEGER), 0) AS episodes,
        nullif(try_cast(members AS INTEGER), 0) AS members,
        nullif(try_cast(rating AS FLOAT), 0) AS site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        cast(NULL AS VARCHAR) AS image_url,
        'https://myanimelist.net/anime/' || trim(anime_id) AS page_url,
        regexp_matches(lower(known_text(genre)), '(^|,)\s*hentai\s*(,|$)') AS is_adult
    FROM raw.anime
)

SELECT * FROM result
