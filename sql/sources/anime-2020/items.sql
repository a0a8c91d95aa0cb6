-- Anime of anime.csv, with the synopsis of anime_with_synopsis.csv.
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
        position,
        raw,
        trim("MAL_ID") AS anime_id,
        unescape_html("Name") AS title,
        unescape_html(nullif(nullif(trim("English name"), 'Unknown'), '-')) AS title_english,
        nullif(nullif(trim("Type"), 'Unknown'), '-') AS kind,
        nullif(nullif(trim("Genres"), 'Unknown'), '-') AS genres,
        nullif(nullif(trim("Rating"), 'Unknown'), '-') AS age_rating,
        "Aired" AS aired,
        try_cast("Episodes" AS INTEGER) AS episodes,
        try_cast("Members" AS INTEGER) AS members,
        try_cast("Score" AS FLOAT) AS site_score
    FROM raw.anime
),

tidy AS (
    SELECT
        position,
        raw,
        anime_id,
        CASE WHEN regexp_matches(anime_id, '^[0-9]+$') THEN try_cast(anime_id AS INTEGER) END AS item_id,
        trim(title) AS title,
        title_english,
        kind,
        -- "Apr 3, 1998 to Apr 24, 1999", "2021 to ?": the first year is that of the first airing.
        try_cast(nullif(regexp_extract(aired, '([0-9]{4})', 1), '') AS SMALLINT) AS year,
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
        'anime.csv' AS source_file,
        tidy.position,
        tidy.raw,
        tidy.item_id,
        tidy.title,
        tidy.title_english,
        tidy.kind,
        tidy.year,
        tidy.genres,
        tidy.episodes,
        tidy.members,
        tidy.site_score,
        synopses.synopsis,
        CASE
            WHEN list_contains(tidy.genres, 'Hentai') OR tidy.age_rating LIKE 'Rx%' THEN TRUE
            WHEN tidy.genres IS NOT NULL OR tidy.age_rating IS NOT NULL THEN FALSE
        END AS is_adult
    FROM tidy
    LEFT JOIN synopses ON tidy.anime_id = synopses.anime_id
)

SELECT * FROM result
