-- Ratings, and interactions without one, of the items that a protocol keeps, each with numbers to draw by.
-- materialised as: table
WITH source AS (
    SELECT
        user_id,
        item_id,
        rating,
        cast(NULL AS FLOAT) AS weight,
        rated_at AS happened_at
    FROM clean.ratings
    UNION ALL
    SELECT
        user_id,
        item_id,
        cast(NULL AS FLOAT) AS rating,
        weight,
        "at" AS happened_at
    FROM clean.interactions
    WHERE
        NOT is_rated
        -- As in features.interactions: an item that was dropped, put on hold or only planned says little.
        AND coalesce(status, 'completed') IN ('watching', 'completed')
),

-- Draws are x ** 5 modulo the prime p = 2 ** 31 - 1, as in features.interactions. They depend on the ids and the seed
-- only: neither the order of the rows nor other rows change them.
mixed AS (
    SELECT
        source.user_id,
        source.item_id,
        source.rating,
        source.weight,
        source.happened_at,
        (
            abs(source.user_id % 2147483647) * 1597334677
            + abs(source.item_id % 2147483647) * 950706376
            + parameters.seed
        ) % 2147483647 AS x,
        (abs(source.user_id % 2147483647) * 742938285 + parameters.seed) % 2147483647 AS y
    FROM source
    INNER JOIN protocol.items ON source.item_id = items.item_id
    CROSS JOIN protocol.parameters
),

squared AS (
    SELECT
        *,
        x * x % 2147483647 AS x2,
        y * y % 2147483647 AS y2
    FROM mixed
)

SELECT
    user_id,
    item_id,
    rating,
    weight,
    happened_at AS "at",
    -- Uniform in [0, 1): one number for the pair, one for the user.
    cast(x2 * x2 % 2147483647 * x % 2147483647 AS DOUBLE) / 2147483647 AS draw,
    cast(y2 * y2 % 2147483647 * y % 2147483647 AS DOUBLE) / 2147483647 AS user_draw
FROM squared
