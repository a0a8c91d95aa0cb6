"""Fill the pages of the site with what the code knows; mkdocs calls the functions here by their names."""

from typing import Any

MARK = "<!-- metrics -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables of all metrics in the place of their mark."""
    return markdown.replace(MARK, metric_tables()) if MARK in markdown else markdown


def metric_tables() -> str:
    """Return one table for each family of metrics, from the registry."""
    from recsys_dagster.evaluation.metrics.registry import METRICS

    lines: list[str] = []
    for family in dict.fromkeys(metric.family for metric in METRICS):
        lines += ["", f"## {str(family).capitalize()}", ""]
        lines += ["| metric | name in tables | definition | better | unit |", "| --- | --- | --- | --- | --- |"]
        for metric in METRICS:
            if metric.family is family:
                better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
                definition = metric.definition.replace("|", "\\|")
                lines.append(f"| {metric.label} | `{metric.name}` | {definition} | {better} | {metric.unit} |")
    return "\n".join(lines)
