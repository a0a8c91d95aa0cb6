"""Name the assets, their groups, and the sets of assets that several assets read.

What an asset reads is declared next to it. Only sets that more than one asset reads belong here.
"""

from collections.abc import Iterable

import dagster as dg

from recsys_dagster.models.registry import model_names
from recsys_dagster.warehouse.sql_files import sql_tables

LEADERBOARD = dg.AssetKey(["evaluation", "leaderboard"])
RAW_FILES = dg.AssetKey(["raw", "files"])
PROFILE = dg.AssetKey(["explore", "profile"])


def keys(group: str, names: Iterable[str]) -> list[dg.AssetKey]:
    """Return the asset keys `<group>/<name>` of all names."""
    return [dg.AssetKey([group, name]) for name in names]


def model_keys() -> list[dg.AssetKey]:
    """Return the key of every model."""
    return keys("models", model_names())


def evaluation_keys() -> list[dg.AssetKey]:
    """Return the key of every model's evaluation."""
    return keys("evaluation", model_names())


def table_keys(schema: str) -> list[dg.AssetKey]:
    """Return the keys of all tables of the schema `clean` or `features`."""
    return keys(schema, (table.name for table in sql_tables(schema)))


TRAINING_DATA = [*keys("features", ("users", "items", "interactions", "item_genres")), *keys("clean", ("items",))]
"""What `load_training_data` reads."""
EVALUATION_DATA = [*TRAINING_DATA, *keys("features", ("fold_cuts",))]
"""What `load_holdout` reads."""

MODEL_RESULTS = [*model_keys(), *evaluation_keys()]
"""What `EvaluationResults` reads: the current version and the outcome of each model, and its metrics."""
