-- Ratings, and finished or current interactions without one, by index; each is in the fold train, validation or test.
-- materialised as: table
WITH source AS (
    SELECT
        user_id,
        item_id,
        rating,
        -- A rating says more than a weight, and finding its weight would cost a join of the two largest tables.
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
        -- An item that was dropped, put on hold or only planned says little; an unknown status counts as completed.
        AND coalesce(status, 'completed') IN ('watching', 'completed')
),

-- Where times do not decide, a hash of user, item and seed does, so that a pair stays in its fold when the data grow.
-- The hash is x ** 5 modulo the prime p = 2 ** 31 - 1 (one to one, as 5 does not divide p - 1) of a mix x of the three.
-- All of it is in integers below 2 ** 63, so that every engine finds the same; a digest of text takes six times as
-- long.
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
            + domain.seed
        ) % 2147483647 AS x
    FROM source
    CROSS JOIN staging.domain
),

squared AS (
    SELECT
        *,
        x * x % 2147483647 AS x2
    FROM mixed
),

hashed AS (
    SELECT
        user_id,
        item_id,
        rating,
        weight,
        happened_at,
        x2 * x2 % 2147483647 * x % 2147483647 AS hash
    FROM squared
),

tidy AS (
    SELECT
        hashed.user_id,
        hashed.item_id,
        hashed.rating,
        hashed.weight,
        hashed.happened_at,
        CASE
            -- 80 and 90 % of p.
            WHEN cuts.method = 'hash' AND hashed.hash < 1717986917 THEN 'train'
            WHEN cuts.method = 'hash' AND hashed.hash < 1932735282 THEN 'validation'
            WHEN cuts.method = 'hash' THEN 'test'
            -- Pairs with one time stay together; a pair without a time is never held out.
            WHEN hashed.happened_at > cuts.validation_until THEN 'test'
            WHEN hashed.happened_at > cuts.train_until THEN 'validation'
            ELSE 'train'
        END AS fold
    FROM hashed
    CROSS JOIN features.fold_cuts AS cuts
),

result AS (
    SELECT
        users.user_idx,
        items.item_idx,
        tidy.rating,
        tidy.weight,
        tidy.happened_at AS "at",
        tidy.fold
    FROM tidy
    INNER JOIN features.users ON tidy.user_id = users.user_id
    INNER JOIN features.items ON tidy.item_id = items.item_id
)

SELECT * FROM result
ORDER BY
    user_idx,
    item_idx
