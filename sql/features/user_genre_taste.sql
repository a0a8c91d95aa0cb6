-- The mean rating that each user gives to each genre, over the ratings of the training fold only.
-- materialised as: table
WITH source AS (
    SELECT
        user_idx,
        item_idx,
        rating
    FROM features.interactions
    WHERE
        fold = 'train'
        AND rating IS NOT NULL
),

result AS (
    SELECT
        source.user_idx,
        genres.genre,
        cast(avg(source.rating) AS FLOAT) AS mean_rating,
        cast(count(*) AS INTEGER) AS ratings
    FROM source
    INNER JOIN features.item_genres AS genres ON source.item_idx = genres.item_idx
    GROUP BY
        source.user_idx,
        genres.genre
)

SELECT * FROM result
ORDER BY
    user_idx,
    genre
