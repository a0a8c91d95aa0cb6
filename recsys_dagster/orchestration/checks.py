"""The checks that stand between a bad table and a published list."""

import warnings
from collections.abc import Sequence

import dagster as dg

from recsys_dagster.domains import get_domain
from recsys_dagster.orchestration.metadata import markdown_table
from recsys_dagster.orchestration.partitions import domain_partitions
from recsys_dagster.warehouse import reconcile
from recsys_dagster.workspace import Workspace

# Checks with partitions are a preview in 1.13: that, and no other warning, is expected.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


@dg.asset_check(asset=["clean", "ratings"], blocking=True, partitions_def=domain_partitions)
def every_row_is_kept_or_rejected(
    context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.AssetCheckResult:
    """Each line of each raw file is in a cleaned table or in clean.rejected: rows in = kept + rejected."""
    accounts = reconcile(workspace.warehouse(get_domain(context.partition_key)))
    rows = [
        [a.file, a.rows_in, a.kept, sum(a.rejected.values()), ", ".join(f"{r} {n:,}" for r, n in a.rejected.items())]
        for a in accounts
    ]
    return dg.AssetCheckResult(
        passed=all(a.rows_in == a.kept + sum(a.rejected.values()) for a in accounts),
        description="; ".join(f"{a.file}: {a.rows_in:,} in, {a.kept:,} kept" for a in accounts),
        metadata={"accounts": markdown_table(["file", "rows in", "kept", "rejected", "by reason"], rows)},
    )


checks: Sequence[dg.AssetChecksDefinition] = [every_row_is_kept_or_rejected]
