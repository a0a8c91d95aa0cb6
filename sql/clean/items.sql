-- Every item of the source, one row each; what is unknown is NULL.
-- materialised as: table
SELECT
    item_id,
    source_id,
    title,
    title_english,
    kind,
    year,
    genres,
    creators,
    tags,
    language,
    episodes,
    members,
    site_score,
    synopsis,
    image_url,
    page_url,
    is_adult
FROM staging.items_with_reason
WHERE reason IS NULL
ORDER BY item_id
