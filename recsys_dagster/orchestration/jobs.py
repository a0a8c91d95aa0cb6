"""The jobs: those over one domain partition, and the one over all."""

from collections.abc import Iterable
from typing import Any

import dagster as dg


def build_jobs(skipped: Iterable[str]) -> list[Any]:
    """Return the jobs, of a type that dagster does not export; the models `skipped` are in none of them.

    All but `compare` are over one domain: what stands over the domains does not belong in a job over one of them.
    """
    groups = dg.AssetSelection.groups
    comparison = dg.AssetSelection.assets(["serving", "domain_comparison"])
    unwanted = comparison | dg.AssetSelection.assets(
        *([group, name] for name in skipped for group in ("models", "evaluation"))
    )
    return [
        dg.define_asset_job(
            "ingest",
            selection=groups("raw", "clean"),
            description="Fetch what is new and clean it.",
        ),
        dg.define_asset_job(
            "features",
            selection=groups("features"),
            description="Index, split and encode the cleaned tables.",
        ),
        dg.define_asset_job(
            "retrain",
            selection=groups("raw", "clean", "features", "models", "evaluation", "serving") - unwanted,
            description="Fetch what is new, fit and evaluate the models, publish the lists of the best.",
        ),
        dg.define_asset_job(
            "everything",
            selection=dg.AssetSelection.all() - unwanted - groups("papers"),
            description="All assets of a domain: a retrain, and the pictures of the data.",
        ),
        dg.define_asset_job(
            "papers",
            selection=groups("papers"),
            description="Run the papers as published, and with their faults and without; takes long.",
        ),
        dg.define_asset_job(
            "compare",
            selection=comparison,
            description="Set the domains side by side, as they are published.",
        ),
    ]
