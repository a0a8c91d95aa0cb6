-- Anime of anime_cleaned.csv.
WITH source AS (
    SELECT
        position,
        raw,
        trim(anime_id) AS anime_id,
        unescape_html(title) AS title,
        unescape_html(nullif(nullif(trim(title_english), 'Unknown'), '-')) AS title_english,
        nullif(nullif(trim(type), 'Unknown'), '-') AS kind,
        nullif(nullif(trim(genre), 'Unknown'), '-') AS genres,
        nullif(nullif(trim(rating), 'Unknown'), '-') AS age_rating,
        try_cast(aired_from_year AS SMALLINT) AS aired_from_year,
        aired_string,
        try_cast(episodes AS INTEGER) AS episodes,
        try_cast(members AS INTEGER) AS members,
        try_cast(score AS FLOAT) AS site_score
    FROM raw.anime_cleaned
),

tidy AS (
    SELECT
        position,
        raw,
        CASE WHEN regexp_matches(anime_id, '^[0-9]+$') THEN try_cast(anime_id AS INTEGER) END AS item_id,
        trim(title) AS title,
        title_english,
        kind,
        -- "Apr 3, 1998 to Apr 24, 1999", "2021 to ?": the first year is that of the first airing.
        coalesce(
            aired_from_year,
            try_cast(nullif(regexp_extract(aired_string, '([0-9]{4})', 1), '') AS SMALLINT)
        ) AS year,
        string_split(replace(genres, ', ', ','), ',') AS genres,
        -- A count or a score of nothing is an unknown one.
        nullif(episodes, 0) AS episodes,
        nullif(members, 0) AS members,
        nullif(site_score, 0) AS site_score,
        age_rating
    FROM source
),

result AS (
    SELECT
        'anime_cleaned.csv' AS source_file,
        position,
        raw,
        item_id,
        title,
        title_english,
        kind,
        year,
        genres,
        episodes,
        members,
        site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        CASE
            WHEN list_contains(genres, 'Hentai') OR age_rating LIKE 'Rx%' THEN TRUE
            WHEN genres IS NOT NULL OR age_rating IS NOT NULL THEN FALSE
        END AS is_adult
    FROM tidy
)

SELECT * FROM result
