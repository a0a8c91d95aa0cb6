-- What became of each raw file: rows that came in and rows that were kept; the others are in clean.rejected.
WITH judged AS (
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
    FROM judged
    GROUP BY source_file
),

result AS (
    SELECT
        files.source_file,
        files.rows_in,
        -- A file that only completes others keeps all that could be read of it.
        cast(coalesce(kept.kept, files.rows_read) AS BIGINT) AS kept
    FROM staging.source_files AS files
    LEFT JOIN kept ON files.source_file = kept.source_file
)

SELECT * FROM result
ORDER BY source_file
