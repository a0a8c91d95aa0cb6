-- Every row of the raw files that is in no table, and why.
-- materialised as: table
WITH interaction_texts AS (
    SELECT * FROM staging.interaction_texts
    UNION ALL
    SELECT
        source_file,
        position,
        raw
    FROM staging.feedback
),

rejected AS (
    -- The text of a row is put together for these few only.
    SELECT
        items_with_reason.source_file,
        items_with_reason.position,
        items_with_reason.reason,
        items.raw
    FROM staging.items_with_reason
    INNER JOIN staging.items
        ON
            items_with_reason.source_file = items.source_file
            AND items_with_reason.position = items.position
    WHERE items_with_reason.reason IS NOT NULL
    UNION ALL
    SELECT
        rejected_interactions.source_file,
        rejected_interactions.position,
        rejected_interactions.reason,
        interaction_texts.raw
    FROM staging.rejected_interactions
    INNER JOIN interaction_texts
        ON
            rejected_interactions.source_file = interaction_texts.source_file
            AND rejected_interactions.position = interaction_texts.position
),

-- Positions count the rows that could be read, from 0. The header takes one line; each row that could not be read, each
-- blank line and each line break inside a field moves the rows after it down.
lines AS (
    SELECT
        source_file,
        position,
        reason,
        raw,
        0 AS extra_lines
    FROM rejected
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
