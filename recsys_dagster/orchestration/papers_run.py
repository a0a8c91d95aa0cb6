"""Run the job `papers` in this process for `recsys papers`, then make the page anew."""

from collections.abc import Sequence
from contextlib import ExitStack

import dagster as dg
from rich.console import Console

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.ingest.domain_lookup import get_domain, known_domains
from recsys_dagster.lifecycle.dataset_choice import choose_dataset
from recsys_dagster.orchestration.assets.papers import paper_key
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.orchestration.instance import close_dead_runs, open_instance
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.orchestration.run import execute
from recsys_dagster.papers.as_published import PAPERS
from recsys_dagster.papers.figures import PaperFigure, paper_figures, papers_of
from recsys_dagster.papers.records import FaultRow, PaperRow, read_records
from recsys_dagster.reports.server import LOCAL_URL
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.stopping import stop_on_signals
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import has_times
from recsys_dagster.warehouse.domain_run import DomainRun

PAGE = dg.AssetKey(["serving", "report"])


def choose_papers(settings: Settings, domains: Sequence[str], papers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the papers to run of each domain; nothing is opened or fitted.

    Args:
        settings: of the deployment.
        domains: names; empty: every domain with published lists that the papers are about.
        papers: numbers, such as `003`; empty: all that are about a domain.

    Raises:
        UsageError: there is no such domain or paper, or no paper is about a domain that was named.
        RecsysError: nothing is published yet for a domain.
    """
    for paper in papers:
        if paper not in PAPERS:
            raise UsageError(f"unknown paper {paper!r}; known: {', '.join(PAPERS)}")
    layout = Layout(settings.home)
    names = [get_domain(name, settings).name for name in domains] or [
        name
        for name in known_domains(settings)
        if layout.published(name).exists() and set(papers or PAPERS) & set(papers_of(name))
    ]
    chosen = {}
    for name in names:
        about = papers_of(name)
        chosen[name] = tuple(paper for paper in about if not papers or paper in papers)
        missing = set(papers) - set(about) if domains else set()
        if missing or not chosen[name]:
            raise UsageError(
                f"paper {', '.join(sorted(missing)) or 'of any number'} is not about {name}; about {name}: "
                f"{', '.join(about) or 'none'}"
            )
        if not layout.published(name).exists():
            raise RecsysError(
                f"{layout.published(name)}: nothing is published for {name} yet; run `recsys run --domain {name}` first"
            )
    if not chosen:
        raise RecsysError(f"{layout.home}: nothing is published that these papers are about; run `recsys run` first")
    return chosen


def run_job_papers(
    settings: Settings, chosen: dict[str, tuple[str, ...]], *, faults: bool
) -> tuple[dict[str, list[PaperFigure]], dict[str, list[FaultRow]], list[str]]:
    """Materialise the papers of each domain and its page.

    The runs are recorded in Dagster's history, as those of `recsys run` are.

    Args:
        settings: of the deployment.
        chosen: the papers of each domain, from `choose_papers`.
        faults: whether to measure the effect of each fault too.

    Returns:
        The figures of the chosen papers by domain, the effects of faults by domain, and a line for each failed step.

    Raises:
        RecsysError: a domain is held by another process, or its settings are wrong; nothing was run.
        StoppedError: SIGINT or SIGTERM came; what was measured before is stored.
    """
    settings = settings.model_copy(update={"pages_url": settings.pages_url or LOCAL_URL})
    for name in chosen:
        # Raises where the settings name another dataset than the published one.
        choose_dataset(settings, get_domain(name, settings))
    figures: dict[str, list[PaperFigure]] = {}
    effects: dict[str, list[FaultRow]] = {}
    failures: list[str] = []
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with stop_on_signals() as stop, ExitStack() as held:
        runs = {name: held.enter_context(DomainRun(settings, get_domain(name, settings))) for name in chosen}
        instance = held.enter_context(open_instance(Layout(settings.home)))
        resource = Recsys.of(settings)
        for name, run in runs.items():
            close_dead_runs(instance, name)
            keys = [dg.AssetKey(["papers", paper_key(paper)]) for paper in chosen[name]]
            keys += [dg.AssetKey(["papers", "faults"])] if faults else []
            # The page in a run of its own, so that a paper that fails does not keep the others from it.
            for assets in (keys, [PAGE]):
                executed = execute(resource, "papers", name, instance, console, stop, assets)
                failures += [f"{name}: {line.removeprefix(f'{name}: ')}" for line in failed_steps(executed.all_events)]
            dataset = run.origin.dataset_id
            with run.warehouse.connect() as connection:
                without_times = None if has_times(connection) else dataset
                rows = [row for row in read_records(connection, PaperRow) if row.dataset == dataset]
                measured = read_records(connection, FaultRow) if faults else []
            effects[name] = [row for row in measured if row.dataset == dataset]
            printed = paper_figures(name, rows, without_times=without_times)
            figures[name] = [figure for figure in printed if figure.paper in chosen[name]]
    return figures, effects, failures
