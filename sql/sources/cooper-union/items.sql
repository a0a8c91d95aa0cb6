-- Anime of anime.csv.
WITH source AS (
    SELECT
        position,
        raw,
        trim(anime_id) AS anime_id,
        unescape_html(name) AS title,
        nullif(nullif(trim(type), 'Unknown'), '-') AS kind,
        nullif(nullif(trim(genre), 'Unknown'), '-') AS genres,
        try_cast(episodes AS INTEGER) AS episodes,
        try_cast(members AS INTEGER) AS members,
        try_cast(rating AS FLOAT) AS site_score
    FROM raw.anime
),

tidy AS (
    SELECT
        position,
        raw,
        CASE WHEN regexp_matches(anime_id, '^[0-9]+$') THEN try_cast(anime_id AS INTEGER) END AS item_id,
        trim(title) AS title,
        kind,
        string_split(replace(genres, ', ', ','), ',') AS genres,
        -- A count or a score of nothing is an unknown one.
        nullif(episodes, 0) AS episodes,
        nullif(members, 0) AS members,
        nullif(site_score, 0) AS site_score
    FROM source
),

result AS (
    SELECT
        'anime.csv' AS source_file,
        position,
        raw,
        item_id,
        title,
        cast(NULL AS VARCHAR) AS title_english,
        kind,
        cast(NULL AS SMALLINT) AS year,
        genres,
        episodes,
        members,
        site_score,
        cast(NULL AS VARCHAR) AS synopsis,
        list_contains(genres, 'Hentai') AS is_adult
    FROM tidy
)

SELECT * FROM result
