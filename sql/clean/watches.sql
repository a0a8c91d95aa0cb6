-- Every interaction of a user with a title, rated or not.
WITH source AS (
    SELECT * FROM staging.judged_interactions
    WHERE reason IS NULL
),

unrated AS (
    SELECT * FROM source
    WHERE rating IS NULL
),

-- Where one file rates a title and another lists it, the list knows how far the user got.
rated AS (
    SELECT source.* FROM source
    ANTI JOIN unrated
        ON
            source.user_id = unrated.user_id
            AND source.item_id = unrated.item_id
    WHERE source.rating IS NOT NULL
),

tidy AS (
    SELECT * FROM unrated
    UNION ALL
    SELECT * FROM rated
),

result AS (
    SELECT
        user_id,
        item_id,
        status,
        progress,
        happened_at AS watched_at
    FROM tidy
)

SELECT * FROM result
