"""`recsys datasets`."""

from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.ingest.domain_lookup import get_domain, known_domains
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings


def datasets() -> None:
    """List the datasets of each domain: which is chosen, published, and on disk.

    Choose one with RECSYS_DATASET_<DOMAIN>, such as RECSYS_DATASET_MOVIE; `recsys
    run` fetches it. Replacing published lists takes `recsys run --switch-dataset`.
    `recsys import` adds a dataset of your own files.
    """
    settings = read_settings()
    from recsys_dagster.ingest.catalogue import CATALOGUE, declared_datasets
    from recsys_dagster.ingest.manifest import read_manifest
    from recsys_dagster.lifecycle.dataset_choice import choose_dataset

    declared, damaged = declared_datasets(settings)
    domains = [get_domain(name, settings) for name in known_domains(settings)]
    choices = [choose_dataset(settings, domain, switch=True) for domain in domains]
    chosen, published = {one.dataset for one in choices}, {one.published for one in choices}
    table = Table("dataset", "domain", "format", "source", "state", "holds", box=None, pad_edge=False)
    licences: dict[str, list[str]] = {}
    for dataset in {**CATALOGUE, **{one.id: one for one in declared}}.values():
        state = {
            "chosen": dataset.id in chosen,
            "published": dataset.id in published,
            "on disk": read_manifest(dataset, settings) is not None,
        }
        table.add_row(
            dataset.id,
            dataset.domain,
            dataset.format.name,
            type(dataset.source).__name__.lower(),
            ", ".join(name for name, holds in state.items() if holds),
            dataset.summary,
        )
        licences.setdefault(dataset.licence, []).append(dataset.id)
    screen = console()
    screen.print(table)
    for error in damaged:
        screen.print(printable(str(error)), style="red", soft_wrap=True)
    screen.print("\nLicences")
    for licence, ids in licences.items():
        screen.print(f"{', '.join(ids)}: {licence}.", soft_wrap=True)
