"""The jobs, each over one domain partition."""

import dagster as dg

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.groups("raw", "clean"),
    description="Fetch what is new and clean it.",
)
features = dg.define_asset_job(
    "features",
    selection=dg.AssetSelection.groups("features"),
    description="Index, split and encode the cleaned tables.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.groups("raw", "clean", "features", "models", "evaluation", "serving"),
    description="Fetch what is new, fit and evaluate every model, publish the lists of the best.",
)
everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="All assets of a domain: a retrain, and the pictures of the data.",
)

jobs = [ingest, features, retrain, everything]
