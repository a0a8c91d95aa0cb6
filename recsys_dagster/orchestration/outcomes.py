"""Show the outcome of a model in the UI: red where it failed, yellow where it was skipped.

The assets of a model always materialise. Dagster would skip everything downstream of an asset that does not, but the
other models, the leaderboard and the lists must go on. The outcome is shown by the check `fitted` of the asset, which
is not blocking.
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
    """Return the check that a model was fitted, or evaluated."""
    return dg.AssetCheckSpec(
        FITTED,
        asset=[group, name],
        description=f"`{name}` was fitted and evaluated. Red: it failed; yellow: it was skipped. "
        "The other models go on; the leaderboard says why this one is missing.",
    )


def conclude(run: DomainRun, outcome: Outcome, metadata: Mapping[str, Any]) -> Materialized:
    """Store the outcome, and return it as the result of the asset, with further metadata.

    Raises:
        RecsysError: a baseline failed. No other figure can be interpreted without it, so the run ends. (That of ratings
            is skipped where there are none.)
    """
    write_outcome(run.layout, run.domain.name, outcome)
    fitted = outcome.state is State.FITTED
    if outcome.model in BASELINES and outcome.state is State.FAILED:
        raise RecsysError(f"{outcome}; nothing is published without the baseline")
    shown: dict[str, Any] = {"outcome": str(outcome.state)}
    if not fitted:
        shown["reason"] = outcome.reason
    if outcome.trace:
        shown["traceback"] = dg.MetadataValue.md(f"```\n{outcome.trace}\n```")
    check = dg.AssetCheckResult(
        check_name=FITTED,
        passed=fitted,
        severity=dg.AssetCheckSeverity.WARN if outcome.state is State.SKIPPED else dg.AssetCheckSeverity.ERROR,
        description=str(outcome),
    )
    return dg.MaterializeResult(metadata={**shown, **metadata}, check_results=[check])
