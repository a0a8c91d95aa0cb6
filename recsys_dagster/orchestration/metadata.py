"""Format the results of the library as metadata, which the UI shows."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from recsys_dagster.evaluation.leaderboard import Leaderboard
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, LEADERBOARD_METRICS, label_of
from recsys_dagster.evaluation.store import CHOOSING_COLUMN, CHOOSING_FOLD, REPORTED_FOLD, MetricRow
from recsys_dagster.lifecycle.gate import Challenge, format_difference
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.orchestration.previews import ignore_preview_warnings
from recsys_dagster.reports.figures import standalone_svg
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import TableSummary

if TYPE_CHECKING:
    Materialized = dg.MaterializeResult[None]
else:
    Materialized = dg.MaterializeResult  # where an asset has a check, dagster knows it only without the parameter
"""What an asset returns after it has stored its value."""

ignore_preview_warnings()

WALL_SECONDS, CPU_SECONDS = "wall_seconds", "cpu_seconds"
PEAK_MEMORY, ROWS_PER_SECOND = "peak_memory_mb", "rows_per_second"


def stage_tags(stage: str, **others: str) -> dict[str, str]:
    """Return the tags of an asset, by which the UI can filter: its stage in the pipeline, and others."""
    return {"recsys/stage": stage, **{f"recsys/{name}": value for name, value in others.items()}}


def location(path: Path) -> dict[str, Any]:
    """Return the metadata that says where an asset is stored."""
    return {"dagster/uri": path.absolute().as_uri(), "path": dg.MetadataValue.path(path.absolute())}


def page_link(settings: Settings, path: Path) -> dict[str, Any]:
    """Return where a page is: its path, and a link that works while the pages are served (`make dev` does)."""
    if settings.pages_url is None:
        return location(path)
    page = path.relative_to(Layout(settings.home).reports()).as_posix()
    return {"page": dg.MetadataValue.url(f"{settings.pages_url.rstrip('/')}/{page}"), **location(path)}


def source_references(path: Path, line: int = 1) -> dict[str, Any]:
    """Return the metadata that links an asset to the file that defines it; the UI adds a link to the asset's code."""
    reference = dg.LocalFileCodeReference(file_path=str(path), line_number=line, label=path.name)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def usage_metadata(usage: ResourceUsage, rows: int | None = None) -> dict[str, Any]:
    """Return wall and processor time in seconds, peak memory in MB, and rows per second if `rows` is given."""
    speed = {} if rows is None else {ROWS_PER_SECOND: dg.MetadataValue.int(round(rows / usage.wall_seconds))}
    return {
        WALL_SECONDS: dg.MetadataValue.float(round(usage.wall_seconds, 3)),
        CPU_SECONDS: dg.MetadataValue.float(round(usage.cpu_seconds, 3)),
        PEAK_MEMORY: dg.MetadataValue.float(round(usage.peak_bytes / 1e6, 1)),
        **speed,
    }


def table_metadata(table: TableSummary, lineage: Mapping[str, Sequence[tuple[str, str, str]]]) -> dict[str, Any]:
    """Return row count, column schema and column lineage under the names that the UI knows."""
    return {
        "dagster/row_count": table.rows,
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, type=column_type) for name, column_type in table.columns.items()]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {column: [_column_dep(*source) for source in sources] for column, sources in lineage.items()}
        ),
    }


def _column_dep(schema: str, table: str, column: str) -> dg.TableColumnDep:
    """Return a column of a table asset; all columns of raw files belong to the asset `raw/files`."""
    if schema == "raw":
        return dg.TableColumnDep(dg.AssetKey(["raw", "files"]), f"{table}:{column}")
    return dg.TableColumnDep(dg.AssetKey([schema, table]), column)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """Return a table that the UI renders; None becomes an empty cell, floats get four digits."""

    def cell(value: object) -> str:
        if value is None:
            return ""
        return f"{value:.4f}" if isinstance(value, float) else printable(str(value)).replace("|", "\\|")

    lines = [columns, ["---"] * len(columns), *rows]
    return dg.MetadataValue.md("\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines))


def leaderboard_table(board: Leaderboard) -> tuple[list[str], list[list[object]]]:
    """Return columns and rows: each model's metrics with their 95 % intervals, its version, and what is wrong with it.

    Metrics that no model has are left out. The models without results come last, each with the reason.
    """
    keys = [key for key in LEADERBOARD_METRICS if any(key in row.shown for row in board.rows)]
    chosen_by = f"{label_of(CHOOSING_METRIC)}, {CHOOSING_FOLD}"
    frozen = [f"{label_of(CHOOSING_METRIC)}, {REPORTED_FOLD}, frozen"] if board.is_folded_in else []
    reported = [f"{label_of(key)}, {REPORTED_FOLD}" for key in keys]
    columns = ["rank", "model", chosen_by, *reported, *frozen, "version", "notes"]
    rows: list[list[object]] = []
    for row in board.rows:
        metrics = [row.chosen_by, *(row.shown.get(key) for key in keys), *([row.frozen] if frozen else [])]
        notes = "; ".join(one.message for one in row.diagnostics)
        rows.append([row.rank, row.model, *map(_with_interval, metrics), row.version, notes])
    for outcome in board.missing:
        empty = [None] * (len(keys) + 1 + len(frozen))
        rows.append([None, outcome.model, *empty, outcome.version, f"{outcome.state}: {outcome.reason}"])
    return columns, rows


def _with_interval(row: MetricRow | None) -> str:
    if row is None:
        return ""
    return f"{row.value:.4f}" if row.low is None else f"{row.value:.4f} ({row.low:.4f} – {row.high:.4f})"


def challengers_table(challenges: Sequence[Challenge]) -> tuple[list[str], list[list[object]]]:
    """Return columns and rows: each challenger compared with the champion, and the objections to it."""
    columns = ["challenger", "NDCG@10 over the champion", "p (Holm)", "over popularity", "guards", "objections"]
    rows: list[list[object]] = [
        [
            one.model,
            format_difference(one.gain.difference),
            one.gain.p,
            format_difference(one.gain_over_popularity.difference),
            "; ".join(f"{g.metric} {g.challenger:.4f} (bound {g.bound:.4f})" for g in one.guards),
            "; ".join(one.objections) or "none",
        ]
        for one in challenges
    ]
    return columns, rows


def history_table(decisions: Sequence[Decision]) -> tuple[list[str], list[list[object]]]:
    """Return columns and rows: every decision on the champion of a domain, the latest first."""
    columns = ["at", "from", "to", "version", "by", f"{label_of(CHOOSING_METRIC)} on {CHOOSING_FOLD}", "reason"]
    rows: list[list[object]] = [
        [row.at, row.previous_model, row.model, row.version, row.by, row.metrics.get(CHOOSING_COLUMN), row.reason]
        for row in reversed(decisions)
    ]
    return columns, rows


def picture(svg: str) -> dg.MarkdownMetadataValue:
    """Return a plot of `to_svg` as part of the metadata, so that it is shown wherever the UI runs."""
    image = base64.b64encode(standalone_svg(svg).encode()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/svg+xml;base64,{image})")
