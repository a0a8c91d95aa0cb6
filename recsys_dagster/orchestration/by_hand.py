"""Show a promotion or a rollback by hand on the pages and in the UI, which otherwise change only with a run."""

from pathlib import Path

import dagster as dg
import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.domain_lookup import known_domains
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.orchestration.instance import open_instance
from recsys_dagster.orchestration.metadata import history_table, location, markdown_table
from recsys_dagster.orchestration.step_usage import step_usage
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.reports.comparison import published_results, write_comparison
from recsys_dagster.reports.page import write_report
from recsys_dagster.warehouse.domain_run import DomainRun


def show_decision(run: DomainRun) -> Path:
    """Write the pages anew, record the champion in Dagster's history, and return the path of the domain's page.

    The caller holds the domain.

    Args:
        run: the domain, whose champion and published lists were changed by hand.

    Raises:
        RecsysError: the results that the page shows are missing or damaged; pages and UI stay as they were.
    """
    domain, layout = run.domain.name, run.layout
    if not layout.warehouse(domain).exists():
        raise RecsysError(f"{layout.warehouse(domain)}: not there, so the page of {domain} cannot be made")
    with open_instance(layout) as instance:
        try:
            report = collect_report(run, step_usage(instance, domain))
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise RecsysError(f"{layout.warehouse(domain)}: lacks what the page shows ({reason})") from error
        write_report(layout.report(domain), report)
        write_comparison(layout.comparison(), published_results(layout, known_domains(run.settings)))
        _record(instance, run)
    return layout.report(domain)


def _record(instance: dg.DagsterInstance, run: DomainRun) -> None:
    """Report the champion and the published lists as materialised, so that the UI names the present ones."""
    domain = run.domain.name
    history = ModelStore(run.layout).history(domain)
    decision = history[-1]
    assets = {
        "champion": {
            "chosen_model": decision.model,
            "chosen_version": decision.version,
            "reason": f"by hand: {decision.reason}",
            **location(run.layout.champion(domain)),
        },
        "recommendations": {
            "model": decision.model,
            "version": decision.version,
            **location(run.layout.published(domain)),
            "history": markdown_table(*history_table(history)),
        },
    }
    for name, metadata in assets.items():
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["serving", name], partition=domain, metadata=metadata)
        )
