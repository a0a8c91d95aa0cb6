"""How the assets of a model show what came of it: red where it failed, yellow where it was left out.

Such an asset materialises in any case, for Dagster skips whatever depends on one that does not, and the other models,
the leaderboard and the lists are to go on. What the UI colours is the check `fitted` of the asset: it is not blocking.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.outcomes import write_outcome
from recsys_dagster.models.attempt import Outcome, State
from recsys_dagster.models.registry import BASELINES
from recsys_dagster.orchestration.metadata import Materialized
from recsys_dagster.warehouse.domain_run import DomainRun

FITTED = "fitted"
"""The name of the check."""


def fitted_check(group: str, name: str) -> dg.AssetCheckSpec:
    """The check of an asset of a model that it did what it is for."""
    return dg.AssetCheckSpec(
        FITTED,
        asset=[group, name],
        description=f"`{name}` could be fitted and judged. Red: it failed; yellow: it was left out. "
        "The other models go on; the leaderboard says why this one is missing.",
    )


def conclude(run: DomainRun, outcome: Outcome, metadata: Mapping[str, Any]) -> Materialized:
    """Keep the outcome and return it as an asset's result, with what else there is to show.

    Raises:
        RecsysError: a baseline failed: without it no figure means anything, so the run ends and the lists stay.
    """
    write_outcome(run.layout, run.domain.name, outcome)
    fitted = outcome.state is State.FITTED
    if outcome.model in BASELINES and not fitted:
        raise RecsysError(f"{outcome}; nothing is published without the baseline")
    told: dict[str, Any] = {"outcome": str(outcome.state)}
    if not fitted:
        told["reason"] = outcome.reason
    if outcome.trace:
        told["traceback"] = dg.MetadataValue.md(f"```\n{outcome.trace}\n```")
    check = dg.AssetCheckResult(
        check_name=FITTED,
        passed=fitted,
        severity=dg.AssetCheckSeverity.WARN if outcome.state is State.SKIPPED else dg.AssetCheckSeverity.ERROR,
        description=str(outcome),
    )
    return dg.MaterializeResult(metadata={**told, **metadata}, check_results=[check])
