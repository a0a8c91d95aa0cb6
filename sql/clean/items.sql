-- Every title of the source, one row each; what is unknown is NULL.
SELECT
    item_id,
    title,
    title_english,
    kind,
    year,
    genres,
    episodes,
    members,
    site_score,
    synopsis,
    is_adult
FROM staging.items_with_reason
WHERE reason IS NULL
ORDER BY item_id
