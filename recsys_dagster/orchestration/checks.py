"""The checks that stand between bad data and published lists, made from the list in `quality` by one factory.

Each is blocking and made for each domain: where one fails, nothing that comes after its asset is made for that domain,
and what is published stays. The other domain is not touched.
"""

import warnings

import dagster as dg

from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.orchestration.metadata import markdown_table
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.quality.checks import Check, all_checks

# Checks with partitions are a preview in 1.13: that, and no other warning, is expected.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def _asset_check(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=check.name,
        asset=list(check.asset),
        description=check.description,
        blocking=True,
        partitions_def=domain_partitions,
    )
    def made(context: dg.AssetCheckExecutionContext, recsys: dg.ResourceParam[Recsys]) -> dg.AssetCheckResult:
        findings = check.find(recsys.hold(context.partition_key))
        failed = [finding for finding in findings if not finding.passed]
        rows = [[f.what, f.expected, f.found, "yes" if f.passed else "NO"] for f in findings]
        return dg.AssetCheckResult(
            passed=not failed,
            description="; ".join(map(str, failed or findings)),
            metadata={
                "findings": markdown_table(["what", "expected", "found", "passed"], rows),
                **({"cure": check.description.partition("Cure: ")[2]} if failed else {}),
            },
        )

    return made


@dg.asset_check(asset=["evaluation", "leaderboard"], partitions_def=domain_partitions)
def no_model_saw_the_test(
    context: dg.AssetCheckExecutionContext, recsys: dg.ResourceParam[Recsys]
) -> dg.AssetCheckResult:
    """No model is so good on the test fold that it must have seen it. One that is is no candidate; the others go on."""
    board = EvaluationResults(recsys.look_at(context.partition_key)).leaderboard()
    suspected = [f"{row.model} {remark.text}" for row in board.rows if row.is_suspect for remark in row.remarks]
    return dg.AssetCheckResult(
        passed=not suspected, description="; ".join(suspected) or f"{len(board.rows)} models looked at"
    )


checks = [*(_asset_check(check) for check in all_checks()), no_model_saw_the_test]
