"""What went wrong in a run, in lines that a person can read."""

from collections.abc import Iterable

import dagster as dg


def failed_steps(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return the cause of each step's failure, in a line."""
    return [_cause(event) for event in events if event.is_step_failure]


def failed_checks(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return what the checks that failed but stopped nothing say, a line each, once; warnings are not among them."""
    said = [
        check.description or f"{check.asset_key.to_user_string()}: {check.check_name} failed"
        for check in (
            event.asset_check_evaluation_data
            for event in events
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if not check.passed and not check.blocking and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    return list(dict.fromkeys(said))


def _cause(event: dg.DagsterEvent) -> str:
    """What went wrong in a step, in a line: the error that our code raised, below Dagster's own around it."""
    step = (event.step_key or "").replace("__", "/")
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    if error is None:
        return f"{step}: failed"
    kind, _, message = error.message.strip().partition(": ")
    return f"{step}: {message if kind.startswith('recsys_dagster.') else error.message.strip()}"
