-- The number of rows of each raw file, and how many of them were kept; the others are in clean.rejected.
-- materialised as: table
WITH checked AS (
    SELECT
        source_file,
        reason
    FROM staging.items_with_reason
    UNION ALL
    SELECT
        source_file,
        reason
    FROM staging.interactions_with_reason
),

kept AS (
    SELECT
        source_file,
        sum(CASE WHEN reason IS NULL THEN 1 ELSE 0 END) AS kept
    FROM checked
    GROUP BY source_file
),

result AS (
    SELECT
        files.source_file,
        files.rows_in,
        -- A file that only completes others keeps every row that could be read.
        cast(coalesce(kept.kept, files.rows_read) AS BIGINT) AS kept,
        files.times,
        files.times_lost,
        files.lost_time
    FROM staging.source_files AS files
    LEFT JOIN kept ON files.source_file = kept.source_file
)

SELECT * FROM result
ORDER BY source_file
