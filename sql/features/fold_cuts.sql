-- How the ratings are divided into folds: the times at which they are cut or, failing that, by hash; and why.
-- materialised as: table
WITH counted AS (
    SELECT
        count(*) AS ratings,
        count(rated_at) AS timed,
        max(rated_at) AS latest
    FROM clean.ratings
),

-- The times that 50, 60, 70, 80 and 90 % of the ratings are not later than. Counting the days first finds them without
-- sorting all ratings, and exactly, which the percentile functions of some engines do not.
tenths AS (
    SELECT listed.tenth
    FROM (VALUES (5), (6), (7), (8), (9)) AS listed (tenth)
),

days AS (
    SELECT
        date_trunc('day', rated_at) AS day,
        count(*) AS ratings
    FROM clean.ratings
    WHERE rated_at IS NOT NULL
    GROUP BY date_trunc('day', rated_at)
),

summed_days AS (
    SELECT
        day,
        ratings,
        sum(ratings) OVER (ORDER BY day) AS until_day
    FROM days
),

days_of_tenths AS (
    SELECT
        tenths.tenth,
        summed_days.day,
        summed_days.until_day - summed_days.ratings AS before_day
    FROM summed_days
    CROSS JOIN counted
    INNER JOIN tenths
        ON
            10 * (summed_days.until_day - summed_days.ratings) < tenths.tenth * counted.timed
            AND 10 * summed_days.until_day >= tenths.tenth * counted.timed
),

moments AS (
    SELECT
        days_of_tenths.tenth,
        days_of_tenths.before_day,
        ratings.rated_at,
        count(*) AS ratings
    FROM clean.ratings
    INNER JOIN days_of_tenths ON date_trunc('day', ratings.rated_at) = days_of_tenths.day
    GROUP BY days_of_tenths.tenth, days_of_tenths.before_day, ratings.rated_at
),

summed_moments AS (
    SELECT
        tenth,
        rated_at,
        before_day + sum(ratings) OVER (
            PARTITION BY tenth
            ORDER BY rated_at
        ) AS until_moment
    FROM moments
),

moments_of_tenths AS (
    SELECT
        summed_moments.tenth,
        min(summed_moments.rated_at) AS moment
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

-- Validation ends at 90 % or, where nothing is later than that, before the ratings that share this last time.
before_last AS (
    SELECT max(ratings.rated_at) AS moment
    FROM clean.ratings
    CROSS JOIN quantiles
    WHERE ratings.rated_at < quantiles.p90
),

ends AS (
    SELECT
        counted.ratings,
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

-- Training ends at 80 % or, where validation would be empty then, before the ratings that share its last time; where
-- validation ends early as well, at the last tenth that leaves something to it.
before_end AS (
    SELECT max(ratings.rated_at) AS moment
    FROM clean.ratings
    CROSS JOIN ends
    WHERE ratings.rated_at < ends.validation_until
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
        *,
        CASE
            WHEN ratings = 0 THEN 'there are no ratings'
            WHEN timed < 0.99 * ratings THEN 'fewer than 99 % of the ratings have a time'
            -- Less than half of the ratings would be left to learn from.
            WHEN train_until IS NULL OR train_until < p50
                THEN 'so many ratings share one time that a cut by time would leave a fold empty or most to hold out'
        END AS obstacle
    FROM cuts
),

result AS (
    SELECT
        CASE WHEN obstacle IS NULL THEN 'time' ELSE 'hash' END AS method,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN train_until = p80 AND validation_until = p90 THEN 'at least 99 % of the ratings have a time'
            ELSE 'many ratings share one time: a cut was moved to before it, as a fold would have been empty'
        END AS reason,
        CASE WHEN obstacle IS NULL THEN train_until END AS train_until,
        CASE WHEN obstacle IS NULL THEN validation_until END AS validation_until,
        cast(ratings AS BIGINT) AS ratings,
        cast(timed AS BIGINT) AS ratings_with_time
    FROM decided
)

SELECT * FROM result
