"""The checks that stand between bad data and published lists, made from the list in `quality` by one factory.

Each is blocking and made for each domain: where one fails, nothing that comes after its asset is made for that domain,
and what is published stays. The other domain is not touched.
"""

import warnings

import dagster as dg

from recsys_dagster.domains import get_domain
from recsys_dagster.orchestration.metadata import markdown_table
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.quality import Check, all_checks
from recsys_dagster.workspace import Workspace

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
    def made(context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.AssetCheckResult:
        findings = check.find(workspace, get_domain(context.partition_key))
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


checks = [_asset_check(check) for check in all_checks()]
