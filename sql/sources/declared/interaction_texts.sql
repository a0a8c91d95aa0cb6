-- The text of each interaction of a declared dataset.
-- materialised as: view
SELECT
    source_file,
    position,
    raw
FROM raw.interaction_texts
