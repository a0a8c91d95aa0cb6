"""The jobs. All but `compare` run over one domain."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from recsys_dagster.orchestration.asset_keys import keys


def build_jobs(skipped: Iterable[str]) -> list[Any]:
    """Return the jobs (dagster does not export their type); no job has an asset of the models `skipped`.

    `serving/domain_comparison` has no partitions, so it is in none of the jobs over a domain.
    """
    prefix = dg.AssetSelection.key_prefixes
    comparison = dg.AssetSelection.assets(["serving", "domain_comparison"])
    page = dg.AssetSelection.assets(["serving", "report"])
    skipped = list(skipped)
    unwanted = comparison | dg.AssetSelection.assets(*keys("models", skipped), *keys("evaluation", skipped))
    pipeline = ("raw", "clean", "explore", "features", "models", "evaluation", "serving")
    return [
        dg.define_asset_job(
            "ingest",
            selection=prefix("raw", "clean"),
            description="Fetch the raw files if they are new, and build the clean tables.",
            tags={"recsys/writes": "tables"},
        ),
        dg.define_asset_job(
            "features",
            selection=prefix("features"),
            description="Build the feature tables: indices, folds, genres and tastes.",
            tags={"recsys/writes": "tables"},
        ),
        dg.define_asset_job(
            "retrain",
            selection=prefix(*pipeline) - unwanted,
            description="Fetch, clean, profile, train and evaluate; publish the lists of the champion and the report.",
            tags={"recsys/writes": "lists"},
        ),
        dg.define_asset_job(
            "papers",
            selection=prefix("papers") | page,
            description="Replicate the papers as published, measure the effect of each fault, and remake the page. "
            "Takes long.",
            tags={"recsys/writes": "reports"},
        ),
        dg.define_asset_job(
            "compare",
            selection=comparison,
            description="Compare the published results of all domains on one page.",
            tags={"recsys/writes": "reports"},
        ),
    ]
