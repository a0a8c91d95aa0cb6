-- The text of each raw interaction.
-- materialised as: view
SELECT
    source_file,
    position,
    raw
FROM staging.interactions
