"""Ignore Dagster's warnings about the beta and preview features that this project uses.

`pyproject.toml` allows one minor release of dagster at a time, and each is tried with them.
"""

import warnings

import dagster as dg


def ignore_preview_warnings() -> None:
    """Ignore warnings about checks with partitions (preview), code references and schema checks (beta)."""
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
