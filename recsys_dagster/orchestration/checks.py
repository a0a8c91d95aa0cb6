"""The checks between bad data and published lists: one factory makes them from the list in `quality`.

Each is blocking and evaluated for each domain: if it fails, nothing downstream of its asset is materialised for that
domain, and what is published stays. Other domains are not affected.
"""

from collections.abc import Iterator

import dagster as dg

from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.orchestration.metadata import markdown_table
from recsys_dagster.orchestration.partitions import for_each_domain
from recsys_dagster.orchestration.previews import ignore_preview_warnings
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.quality.checks import Check, all_checks

ignore_preview_warnings()


def _asset_check(check: Check, partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    spec = dg.AssetCheckSpec(
        check.name,
        asset=list(check.asset),
        description=check.description,
        blocking=check.blocking,
        partitions_def=partitions,
    )

    @dg.multi_asset_check(name=f"{'__'.join(check.asset)}_{check.name}", specs=[spec])
    def check_domain(context: dg.AssetCheckExecutionContext, recsys: Recsys) -> Iterator[dg.AssetCheckResult]:
        findings = check.find(recsys.hold(context.partition_key))
        failed = [finding for finding in findings if not finding.passed]
        message = check.message(context.partition_key, findings)
        rows = [[f.what, f.expected, f.found, "yes" if f.passed else "NO"] for f in findings]
        yield dg.AssetCheckResult(
            passed=not failed,
            check_name=check.name,
            asset_key=spec.asset_key,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            description=message,
            metadata={
                "findings": markdown_table(["what", "expected", "found", "passed"], rows),
                **({"cure": check.cure} if failed else {}),
            },
        )
        if failed and check.blocking:
            # Else Dagster would fail the step with "1 blocking asset check failed", and only the check would say why.
            raise dg.Failure(message, allow_retries=False)

    return check_domain


@for_each_domain(dg.asset_check, asset=["evaluation", "leaderboard"])
def no_model_saw_the_test(context: dg.AssetCheckExecutionContext, recsys: Recsys) -> dg.AssetCheckResult:
    """No model is so good on the test fold that it must have seen it. Such a model cannot become champion."""
    board = EvaluationResults(recsys.look_at(context.partition_key)).leaderboard()
    suspected = [f"{row.model} {one.message}" for row in board.rows if row.is_disqualified for one in row.diagnostics]
    return dg.AssetCheckResult(
        passed=not suspected, description="; ".join(suspected) or f"{len(board.rows)} models looked at"
    )


def checks(partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """Return the checks of all domains."""
    return [*(_asset_check(check, partitions) for check in all_checks()), no_model_saw_the_test(partitions)]
