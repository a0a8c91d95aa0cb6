"""Checks that nothing of what a model is judged by was there when it learnt."""

import numpy as np

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.capabilities import ScaledInputs
from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun


def folds_follow_each_other_in_time(run: DomainRun) -> list[Finding]:
    """Where the folds are cut by time, nothing in training or validation is later than the earliest of the test.

    Cure: this is a fault of sql/features/interactions.sql; no figure of this run means anything. Do not publish.
    """
    with run.warehouse.connect() as connection:
        timed = connection.execute("SELECT count(rated_at) >= 0.99 * count(*) FROM clean.ratings").fetchall()[0][0]
        spans = {
            fold: (first, last)
            for fold, first, last in connection.execute(
                'SELECT fold, min("at"), max("at") FROM features.interactions WHERE "at" IS NOT NULL GROUP BY fold'
            ).fetchall()
        }
    if not timed:
        return [Finding("folds", "cut by time where 99 % of the ratings have one", "cut by hash: too few times", True)]
    return [
        Finding(
            f"latest time in {earlier}",
            f"before {spans[later][0]}, the earliest in {later}",
            str(spans[earlier][1]),
            spans[earlier][1] < spans[later][0],
        )
        for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test"))
        if earlier in spans and later in spans
    ]


def no_pair_is_in_two_folds(run: DomainRun) -> list[Finding]:
    """No user has a title in two folds, nor twice in one.

    Cure: this is a fault of sql/features/interactions.sql or of the keys of the clean tables; do not publish.
    """
    with run.warehouse.connect() as connection:
        twice = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM features.interactions GROUP BY user_idx, item_idx HAVING count(*) > 1)"
        ).fetchall()[0][0]
    return [none_of("(user, title) pairs that come twice", twice)]


def tastes_are_of_the_training_fold(run: DomainRun) -> list[Finding]:
    """features.user_genre_taste is what the ratings of the training fold alone give, worked out anew from clean.

    Cure: this is a fault of sql/features/user_genre_taste.sql: with later ratings in it, each figure of this run is too
    good. Do not publish.
    """
    with run.warehouse.connect() as connection:
        rows, differing = connection.execute(
            """
            WITH genres AS (
                SELECT DISTINCT item_id, trim(unnest(genres)) AS genre FROM clean.items
            ),

            anew AS (
                SELECT pairs.user_idx, genres.genre, avg(ratings.rating) AS mean_rating, count(*) AS ratings
                FROM features.interactions AS pairs
                JOIN features.users USING (user_idx)
                JOIN features.items USING (item_idx)
                JOIN clean.ratings USING (user_id, item_id)
                JOIN genres USING (item_id)
                WHERE pairs.fold = 'train' AND genres.genre <> ''
                GROUP BY ALL
            )

            SELECT
                count(*),
                count(*) FILTER (
                    kept.ratings IS DISTINCT FROM anew.ratings OR abs(kept.mean_rating - anew.mean_rating) > 1e-3
                )
            FROM features.user_genre_taste AS kept
            FULL JOIN anew USING (user_idx, genre)
            """
        ).fetchall()[0]
    return [none_of(f"of {rows:,} tastes, those that differ from the training fold's", differing)]


def scalers_are_of_the_training_fold(run: DomainRun, model: str) -> list[Finding]:
    """The means and deviations that the model scales its inputs by are those of the training fold, worked out anew.

    Cure: this is a fault of the model's code: with later ratings in its scalers its figures are too good. Leave it out
    of RECSYS_MODELS until it is mended.
    """
    warehouse = run.warehouse
    fitted, _ = ModelStore(run.layout).load(run.domain.name, model, id_map_hash=id_map_hash(warehouse))
    if not isinstance(fitted, ScaledInputs):
        raise RecsysError(f"{model} does not scale its inputs")
    findings = []
    for name, (kept, anew) in fitted.scalers(load_training_data(warehouse, run.domain)).items():
        apart = float(np.max(np.abs(kept - anew), initial=0))
        findings.append(Finding(f"{name}: largest difference", "at most 0.0001", f"{apart:.2g}", apart <= 1e-4))
    return findings
