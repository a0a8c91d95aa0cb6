-- Every line of the source that did not make it into a table, and why.
WITH dropped AS (
    SELECT
        source_file,
        position,
        reason,
        raw
    FROM staging.items_with_reason
    WHERE reason IS NOT NULL
    UNION ALL
    -- The text of a line is put together for these few only.
    SELECT
        dropped_interactions.source_file,
        dropped_interactions.position,
        dropped_interactions.reason,
        interactions.raw
    FROM staging.dropped_interactions
    INNER JOIN staging.interactions
        ON
            dropped_interactions.source_file = interactions.source_file
            AND dropped_interactions.position = interactions.position
),

-- Positions count the records that could be read, from 0. The header is one line more; each line that could not be
-- read, each blank one and each line break inside a field moves what comes after it further down.
lines AS (
    SELECT
        source_file,
        position,
        reason,
        raw,
        0 AS extra_lines
    FROM dropped
    UNION ALL
    SELECT
        source_file,
        position,
        cast(NULL AS VARCHAR) AS reason,
        cast(NULL AS VARCHAR) AS raw,
        extra_lines
    FROM staging.line_shifts
),

tidy AS (
    SELECT
        source_file,
        cast(
            position + 2 + sum(extra_lines) OVER (
                PARTITION BY source_file
                ORDER BY position
            ) AS BIGINT
        ) AS line,
        reason,
        raw
    FROM lines
),

result AS (
    SELECT * FROM tidy
    WHERE reason IS NOT NULL
    UNION ALL
    SELECT
        source_file,
        line,
        'unparsable' AS reason,
        raw
    FROM staging.unparsable
)

SELECT * FROM result
ORDER BY
    source_file,
    line
