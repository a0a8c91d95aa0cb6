-- How the pairs are divided into folds: the times at which they are cut or, failing that, by hash; and why.
-- materialised as: table
-- The ratings decide or, with implicit feedback, the interactions; see features.interactions.
WITH source AS (
    SELECT rated_at AS happened_at FROM clean.ratings
    UNION ALL
    SELECT interactions."at" AS happened_at
    FROM clean.interactions
    CROSS JOIN staging.domain
    WHERE
        domain.scale_low IS NULL
        AND coalesce(interactions.status, 'completed') IN ('watching', 'completed')
),

counted AS (
    SELECT
        count(*) AS pairs,
        count(happened_at) AS timed,
        max(happened_at) AS latest
    FROM source
),

words AS (
    SELECT CASE WHEN scale_low IS NULL THEN 'interactions' ELSE 'ratings' END AS noun
    FROM staging.domain
),

-- The times that 50, 60, 70, 80 and 90 % of the pairs are not later than. Counting the days first finds them without
-- sorting all pairs, and exactly, which the percentile functions of some engines do not.
tenths AS (
    SELECT listed.tenth
    FROM (VALUES (5), (6), (7), (8), (9)) AS listed (tenth)
),

days AS (
    SELECT
        date_trunc('day', happened_at) AS day,
        count(*) AS pairs
    FROM source
    WHERE happened_at IS NOT NULL
    GROUP BY date_trunc('day', happened_at)
),

summed_days AS (
    SELECT
        day,
        pairs,
        sum(pairs) OVER (ORDER BY day) AS until_day
    FROM days
),

days_of_tenths AS (
    SELECT
        tenths.tenth,
        summed_days.day,
        summed_days.until_day - summed_days.pairs AS before_day
    FROM summed_days
    CROSS JOIN counted
    INNER JOIN tenths
        ON
            10 * (summed_days.until_day - summed_days.pairs) < tenths.tenth * counted.timed
            AND 10 * summed_days.until_day >= tenths.tenth * counted.timed
),

moments AS (
    SELECT
        days_of_tenths.tenth,
        days_of_tenths.before_day,
        source.happened_at,
        count(*) AS pairs
    FROM source
    INNER JOIN days_of_tenths ON date_trunc('day', source.happened_at) = days_of_tenths.day
    GROUP BY days_of_tenths.tenth, days_of_tenths.before_day, source.happened_at
),

summed_moments AS (
    SELECT
        tenth,
        happened_at,
        before_day + sum(pairs) OVER (
            PARTITION BY tenth
            ORDER BY happened_at
        ) AS until_moment
    FROM moments
),

moments_of_tenths AS (
    SELECT
        summed_moments.tenth,
        min(summed_moments.happened_at) AS moment
    FROM summed_moments
    CROSS JOIN counted
    WHERE 10 * summed_moments.until_moment >= summed_moments.tenth * counted.timed
    GROUP BY summed_moments.tenth
),

quantiles AS (
    SELECT
        max(CASE WHEN tenth = 5 THEN moment END) AS p50,
        max(CASE WHEN tenth = 8 THEN moment END) AS p80,
        max(CASE WHEN tenth = 9 THEN moment END) AS p90
    FROM moments_of_tenths
),

-- Validation ends at 90 % or, where nothing is later than that, before the pairs that share this last time.
before_last AS (
    SELECT max(source.happened_at) AS moment
    FROM source
    CROSS JOIN quantiles
    WHERE source.happened_at < quantiles.p90
),

ends AS (
    SELECT
        counted.pairs,
        counted.timed,
        quantiles.p50,
        quantiles.p80,
        quantiles.p90,
        CASE
            WHEN quantiles.p90 < counted.latest THEN quantiles.p90
            ELSE before_last.moment
        END AS validation_until
    FROM counted
    CROSS JOIN quantiles
    CROSS JOIN before_last
),

-- Training ends at 80 % or, where validation would be empty then, before the pairs that share its last time; where
-- validation ends early as well, at the last tenth that leaves something to it.
before_end AS (
    SELECT max(source.happened_at) AS moment
    FROM source
    CROSS JOIN ends
    WHERE source.happened_at < ends.validation_until
),

tenth_before_end AS (
    SELECT max(moments_of_tenths.moment) AS moment
    FROM moments_of_tenths
    CROSS JOIN ends
    WHERE moments_of_tenths.moment < ends.validation_until
),

cuts AS (
    SELECT
        ends.*,
        CASE
            WHEN ends.p80 < ends.validation_until THEN ends.p80
            WHEN ends.p90 = ends.validation_until THEN before_end.moment
            ELSE tenth_before_end.moment
        END AS train_until
    FROM ends
    CROSS JOIN before_end
    CROSS JOIN tenth_before_end
),

decided AS (
    SELECT
        cuts.*,
        words.noun,
        CASE
            WHEN cuts.pairs = 0 THEN 'there are no ' || words.noun
            WHEN cuts.timed < 0.99 * cuts.pairs THEN 'fewer than 99 % of the ' || words.noun || ' have a time'
            -- Less than half of the pairs would be left to learn from.
            WHEN cuts.train_until IS NULL OR cuts.train_until < cuts.p50
                THEN
                    'so many ' || words.noun
                    || ' share one time that a cut by time would leave a fold empty or most to hold out'
        END AS obstacle
    FROM cuts
    CROSS JOIN words
),

result AS (
    SELECT
        CASE WHEN obstacle IS NULL THEN 'time' ELSE 'hash' END AS method,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN train_until = p80 AND validation_until = p90
                THEN 'at least 99 % of the ' || noun || ' have a time'
            ELSE 'many ' || noun || ' share one time: a cut was moved to before it, as a fold would have been empty'
        END AS reason,
        CASE WHEN obstacle IS NULL THEN train_until END AS train_until,
        CASE WHEN obstacle IS NULL THEN validation_until END AS validation_until,
        cast(pairs AS BIGINT) AS pairs,
        cast(timed AS BIGINT) AS pairs_with_time
    FROM decided
)

SELECT * FROM result
