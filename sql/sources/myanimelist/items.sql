-- Anime of anime_cleaned.csv.
-- materialised as: view
WITH source AS (
    SELECT
        *,
        known_text(genre) AS genres,
        known_text(rating) AS age_rating
    FROM raw.anime_cleaned
),

result AS (
    SELECT
        'anime_cleaned.csv' AS source_file,
        position,
        raw,
        anime_id AS item,
        cast(NULL AS VARCHAR) AS source_id,
        unescape_html(title) AS title,
        unescape_html(title_english) AS title_english,
        type AS kind,
        -- "Apr 3, 1998 to Apr 24, 1999", "2021 to ?": the first year is that of the first airing.
        coalesce(
            try_cast(aired_from_year AS SMALLINT),
            try_cast(nullif(regexp_extract(aired_string, '([0-9]{4})', 1), '') AS SMALLINT)
        ) AS year,
        string_split(genres, ',') AS genres,
        string_split_regex(known_text(unescape_html(studio)), '\s*,\s*') AS creators,
        cast(NULL AS VARCHAR[]) AS tags,
        cast(NULL AS VARCHAR) AS language,
        -- A number of 0 means that it is unknown.
        nullif(try_cast(episodes AS INTEGER), 0) AS episodes,
        nullif(try_cast(members AS INTEGER), 0) AS members,
        nullif(try_cast(score AS FLOAT), 0) AS site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        image_url,
        'https://myanimelist.net/anime/' || trim(anime_id) AS page_url,
        CASE
            WHEN regexp_matches(lower(genres), '(^|,)\s*hentai\s*(,|$)') THEN TRUE
            WHEN age_rating LIKE 'Rx%' THEN TRUE
            WHEN genres IS NOT NULL OR age_rating IS NOT NULL THEN FALSE
        END AS is_adult
    FROM source
)

SELECT * FROM result
