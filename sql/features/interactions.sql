-- Ratings, and titles watched without one, by index; each in one of the folds train, validation and test.
WITH source AS (
    SELECT
        user_id,
        item_id,
        rating,
        rated_at AS happened_at
    FROM clean.ratings
    UNION ALL
    SELECT
        user_id,
        item_id,
        cast(NULL AS FLOAT) AS rating,
        watched_at AS happened_at
    FROM clean.interactions
    WHERE
        NOT is_rated
        -- What was given up, put aside or only planned says little; an unknown status is taken for watched.
        AND coalesce(status, 'completed') IN ('watching', 'completed')
),

-- The last ratings up to the cuts; NULL where fewer than 99 % of the ratings have a time.
cuts AS (
    SELECT
        CASE
            WHEN count(rated_at) >= 0.99 * count(*) THEN percentile_disc(0.8) WITHIN GROUP (ORDER BY rated_at)
        END AS train_until,
        CASE
            WHEN count(rated_at) >= 0.99 * count(*) THEN percentile_disc(0.9) WITHIN GROUP (ORDER BY rated_at)
        END AS validation_until
    FROM clean.ratings
),

-- Where times do not decide, chance does: a hash of user, title and seed, so that a pair stays in its fold when the
-- data grow. It is x ** 5 modulo the prime p = 2 ** 31 - 1 (one to one, as 5 does not divide p - 1) of a mix x of the
-- three, all of it in integers below 2 ** 63, so that every engine finds the same; a digest of text takes six times as
-- long.
mixed AS (
    SELECT
        source.user_id,
        source.item_id,
        source.rating,
        source.happened_at,
        (
            abs(source.user_id) % 2147483647 * 1597334677
            + cast(source.item_id AS BIGINT) * 950706376
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
        happened_at,
        x2 * x2 % 2147483647 * x % 2147483647 AS hash
    FROM squared
),

tidy AS (
    SELECT
        hashed.user_id,
        hashed.item_id,
        hashed.rating,
        hashed.happened_at,
        CASE
            -- 80 and 90 % of p.
            WHEN cuts.train_until IS NULL AND hashed.hash < 1717986917 THEN 'train'
            WHEN cuts.train_until IS NULL AND hashed.hash < 1932735282 THEN 'validation'
            WHEN cuts.train_until IS NULL THEN 'test'
            -- Pairs of one moment stay together; a pair without a time is never held out.
            WHEN hashed.happened_at > cuts.validation_until THEN 'test'
            WHEN hashed.happened_at > cuts.train_until THEN 'validation'
            ELSE 'train'
        END AS fold
    FROM hashed
    CROSS JOIN cuts
),

result AS (
    SELECT
        users.user_idx,
        items.item_idx,
        tidy.rating,
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
