-- Where the interactions are that are dropped, and why.
SELECT
    source_file,
    position,
    reason
FROM staging.interactions_with_reason
WHERE reason IS NOT NULL
