-- The moment at which each user of the test part of a cut is recommended to, in the middle of what they did there.
-- materialised as: table
WITH placed AS (
    SELECT
        user_id,
        "at",
        -- Of equal times any may be first: the moment is the same.
        row_number() OVER (PARTITION BY user_id ORDER BY "at") AS place,
        count(*) OVER (PARTITION BY user_id) AS pairs_of_user
    FROM protocol.cut
    WHERE fold = 'test'
)

-- What happened at this moment itself is not known yet.
SELECT
    user_id,
    "at" AS moment
FROM placed
WHERE place = floor(pairs_of_user / 2) + 1
