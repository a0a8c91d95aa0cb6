-- The items of a declared dataset; those that are in the interactions where no others are declared.
-- materialised as: view
WITH source AS (
    SELECT
        *,
        trim(unescape_html(title)) AS whole_title
    FROM raw.items
),

result AS (
    SELECT
        source_file,
        position,
        raw,
        cast(item_id AS VARCHAR) AS item,
        source_id,
        CASE
            WHEN year_in_title
                THEN coalesce(
                    nullif(regexp_replace(whole_title, '\s*\([0-9]{4}(\s*[-–]\s*([0-9]{4})?)?\)$', ''), ''),
                    whole_title
                )
            ELSE whole_title
        END AS title,
        unescape_html(title_english) AS title_english,
        kind,
        -- A year may be part of a date.
        try_cast(
            coalesce(
                nullif(regexp_extract(year, '(^|[^0-9])([0-9]{4})([^0-9]|$)', 2), ''),
                CASE
                    WHEN year_in_title
                        THEN nullif(regexp_extract(whole_title, '\(([0-9]{4})(\s*[-–]\s*([0-9]{4})?)?\)$', 1), '')
                END
            ) AS SMALLINT
        ) AS year,
        genres,
        creators,
        tags,
        language,
        cast(round(nullif(try_cast(episodes AS DOUBLE), 0)) AS INTEGER) AS episodes,
        cast(round(nullif(try_cast(members AS DOUBLE), 0)) AS INTEGER) AS members,
        nullif(try_cast(site_score AS FLOAT), 0) AS site_score,
        synopsis,
        image_url,
        page_url,
        CASE
            WHEN lower(trim(is_adult)) IN ('1', '1.0', 'true', 't', 'yes', 'y') THEN TRUE
            WHEN lower(trim(is_adult)) IN ('0', '0.0', 'false', 'f', 'no', 'n') THEN FALSE
        END AS is_adult
    FROM source
)

SELECT * FROM result
