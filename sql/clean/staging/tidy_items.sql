-- Raw items with ids as whole numbers and NULL for whatever is unknown.
-- materialised as: view
WITH result AS (
    SELECT
        items.source_file,
        items.position,
        -- Some programs write whole numbers as 1.0; 1.5 is no id.
        CASE
            WHEN regexp_matches(trim(items.item), '^-?[0-9]+([.]0*)?$')
                THEN try_cast(regexp_replace(trim(items.item), '[.]0*$', '') AS BIGINT)
        END AS item_id,
        items.source_id,
        -- A title may well be the word Unknown.
        nullif(trim(items.title), '') AS title,
        known_text(items.title_english) AS title_english,
        known_text(items.kind) AS kind,
        items.year,
        genre_lists.tidy_genres AS genres,
        items.creators,
        items.tags,
        known_text(items.language) AS language,
        items.episodes,
        items.members,
        items.site_score,
        known_text(items.synopsis) AS synopsis,
        known_text(items.image_url) AS image_url,
        known_text(items.page_url) AS page_url,
        items.is_adult
    FROM staging.items
    LEFT JOIN staging.genre_lists ON items.genres = genre_lists.genres
)

SELECT * FROM result
