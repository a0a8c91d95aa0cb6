-- Raw interactions of which several of a user and an item add up, each with the reason why it is rejected.
-- materialised as: view
SELECT
    *,
    fault AS reason
FROM staging.checked_interactions
