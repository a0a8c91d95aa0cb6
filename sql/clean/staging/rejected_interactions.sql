-- The place of each raw interaction that is rejected, and the reason.
-- materialised as: table
SELECT
    source_file,
    position,
    reason
FROM staging.interactions_with_reason
WHERE reason IS NOT NULL
