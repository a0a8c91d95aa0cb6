-- The most relevant tags of each film: those of the tag genome or, where it lacks the film, those of users.
-- materialised as: table
WITH genome AS (
    SELECT
        scores."movieId" AS item_id,
        lower(trim(names.tag)) AS tag,
        max(scores.relevance) AS weight
    FROM raw.genome_scores AS scores
    INNER JOIN raw.genome_tags AS names ON scores."tagId" = names."tagId"
    -- Every film has a relevance for every tag of the genome; most are close to zero.
    WHERE scores.relevance >= 0.5
    GROUP BY
        scores."movieId",
        lower(trim(names.tag))
),

users AS (
    SELECT
        "movieId" AS item_id,
        lower(trim(tag)) AS tag,
        count(*) AS weight
    FROM raw.tags
    WHERE "movieId" NOT IN (SELECT genome.item_id FROM genome)
    GROUP BY
        "movieId",
        lower(trim(tag))
),

weighted AS (
    SELECT * FROM genome
    UNION ALL
    SELECT * FROM users
),

ranked AS (
    SELECT
        item_id,
        tag,
        row_number() OVER (
            PARTITION BY item_id
            ORDER BY weight DESC, tag ASC
        ) AS place
    FROM weighted
    WHERE tag <> ''
),

-- Sorted as pairs of place and name, as an order inside the aggregate is not portable.
result AS (
    SELECT
        cast(ranked.item_id AS VARCHAR) AS item,
        list_transform(
            list_sort(array_agg(struct_pack(place := ranked.place, tag := ranked.tag))),
            LAMBDA pair: pair.tag
        ) AS tags
    FROM ranked
    WHERE ranked.place <= 20
    GROUP BY ranked.item_id
)

SELECT * FROM result
