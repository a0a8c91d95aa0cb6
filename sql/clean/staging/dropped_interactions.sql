-- Where the interactions are that are dropped, and why.
SELECT
    source_file,
    position,
    reason
FROM staging.judged_interactions
WHERE reason IS NOT NULL
