"""Check that no model can have learnt from the data that it is evaluated on."""

import numpy as np

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.capabilities import ScaledInputs
from recsys_dagster.quality.findings import Finding, none_of
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun


def no_fold_is_empty(run: DomainRun) -> list[Finding]:
    """Each of the folds train, validation and test has interactions.

    Cure: there are too few ratings for three folds; take a dataset with more of them, or look in clean.rejected why so
    many rows were rejected.
    """
    with run.warehouse.connect() as connection:
        sizes = dict(connection.execute("SELECT fold, count(*) FROM features.interactions GROUP BY fold").fetchall())
        method, reason = connection.execute("SELECT method, reason FROM features.fold_cuts").fetchall()[0]
    cut = f"the folds are cut by {method}: {reason}"
    return [
        Finding(f"interactions in the fold {fold}", "at least 1", f"{sizes.get(fold, 0):,} ({cut})", fold in sizes)
        for fold in ("train", "validation", "test")
    ]


def folds_follow_each_other_in_time(run: DomainRun) -> list[Finding]:
    """Where the folds are cut by time, every training and validation interaction is earlier than all of the test fold.

    Cure: this is a fault of sql/features/interactions.sql, and no figure of this run is valid. Do not publish.
    """
    with run.warehouse.connect() as connection:
        method, reason = connection.execute("SELECT method, reason FROM features.fold_cuts").fetchall()[0]
        spans = {
            fold: (first, last)
            for fold, first, last in connection.execute(
                'SELECT fold, min("at"), max("at") FROM features.interactions WHERE "at" IS NOT NULL GROUP BY fold'
            ).fetchall()
        }
    if method == "hash":
        return [Finding("folds", "cut by time where that is possible", f"cut by hash: {reason}", True)]
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
    """No (user, item) pair is in two folds, or repeated in one.

    Cure: this is a fault of sql/features/interactions.sql or of the keys of the clean tables. Do not publish.
    """
    with run.warehouse.connect() as connection:
        repeated = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM features.interactions GROUP BY user_idx, item_idx HAVING count(*) > 1)"
        ).fetchall()[0][0]
    return [none_of("repeated (user, item) pairs", repeated)]


def tastes_are_of_the_training_fold(run: DomainRun) -> list[Finding]:
    """features.user_genre_taste equals the tastes that are computed again from the clean ratings of the training fold.

    Cure: this is a fault of sql/features/user_genre_taste.sql: with later ratings in it, each figure of this run is too
    good. Do not publish.
    """
    with run.warehouse.connect() as connection:
        rows, differing = connection.execute(
            """
            WITH genres AS (
                SELECT DISTINCT item_id, trim(unnest(genres)) AS genre FROM clean.items
            ),

            expected AS (
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
                    built.ratings IS DISTINCT FROM expected.ratings
                    OR abs(built.mean_rating - expected.mean_rating) > 1e-3
                )
            FROM features.user_genre_taste AS built
            FULL JOIN expected USING (user_idx, genre)
            """
        ).fetchall()[0]
    return [none_of(f"tastes, of {rows:,}, that differ from those of the training fold", differing)]


def scalers_are_of_the_training_fold(run: DomainRun, model: str) -> list[Finding]:
    """The means and deviations that scale the inputs of the model equal those computed again from the training fold.

    Cure: this is a fault of the model's code: with later ratings in its scalers its figures are too good. Remove it
    from RECSYS_MODELS until it is fixed.
    """
    warehouse = run.warehouse
    fitted, _ = ModelStore(run.layout).load(run.domain.name, model, id_map_hash=id_map_hash(warehouse))
    if not isinstance(fitted, ScaledInputs):
        raise RecsysError(f"{model} does not scale its inputs")
    findings = []
    for name, (kept, anew) in fitted.scalers(load_training_data(warehouse)).items():
        apart = float(np.max(np.abs(kept - anew), initial=0))
        findings.append(Finding(f"{name}: largest difference", "at most 0.0001", f"{apart:.2g}", apart <= 1e-4))
    return findings
