"""Run the job `retrain` in this process for `recsys run`: a line for each finished step instead of Dagster's log."""

import logging
import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from recsys_dagster.evaluation.leaderboard import Leaderboard
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.ingest.declaration import DeclarationError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.lifecycle.dataset_choice import choose_dataset
from recsys_dagster.lifecycle.waiting import describe_waiting, find_waiting, newest_lists
from recsys_dagster.models.attempt import State
from recsys_dagster.models.selection import selected_models
from recsys_dagster.orchestration.active_runs import COMMAND_TAG
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_checks, failed_steps
from recsys_dagster.orchestration.instance import REPOSITORY_TAG, close_dead_runs, open_instance
from recsys_dagster.orchestration.resource import Recsys
from recsys_dagster.reports.server import LOCAL_URL
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.stopping import Stop, stop_on_signals
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun

PUBLISHING_STEP = "serving__recommendations"


@dataclass(frozen=True)
class PublishedDomain:
    """What a run has published of a domain.

    Attributes:
        provenance: the origin of the lists.
        sizes: numbers of users and items.
        example_user: the id of a user that has a list.
        leaderboard: of this run.
        lists, report: the published file and the page.
        skipped: the chosen models that the run skipped, with the reason.
    """

    provenance: Provenance
    sizes: dict[str, int]
    example_user: Id
    leaderboard: Leaderboard
    lists: Path
    report: Path
    skipped: list[str]


@dataclass
class RunResult:
    """The result of `recsys run`.

    Attributes:
        published: by domain; only those whose lists this run has published, or left to wait for approval.
        failures: one line for each failed step, check or model.
        unpublished: the domains whose lists stay as they were.
        waiting: one line for each domain whose lists wait for approval.
    """

    published: dict[str, PublishedDomain] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def run_domains(settings: Settings, domains: Sequence[str], *, switched: Collection[str] = ()) -> RunResult:
    """Materialise everything for each domain in turn; a failure in one domain does not stop the others.

    The runs are recorded in the Dagster instance under RECSYS_HOME, or in that of DAGSTER_HOME.

    Args:
        settings: of the deployment.
        domains: names of the domains.
        switched: names of the domains whose published lists may be replaced by those of another dataset.

    Raises:
        DatasetSwitchError: a domain is not among `switched`, and the settings name another dataset; nothing was run.
        RecsysError: a domain is held by another process, its settings are wrong, or the declaration of the only domain
            cannot be used; nothing was run.
        StoppedError: SIGINT or SIGTERM came; nothing more was published.
    """
    settings = settings.model_copy(update={"pages_url": settings.pages_url or LOCAL_URL})
    selected_models(settings)
    choices = [choose_dataset(settings, get_domain(name, settings), switch=name in switched) for name in domains]
    settings = settings.with_datasets({choice.domain: choice.dataset for choice in choices})
    runs = {name: DomainRun(settings, get_domain(name, settings)) for name in domains}
    result = RunResult()
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with stop_on_signals() as stop, ExitStack() as held:
        for name, run in list(runs.items()):
            try:
                _ = held.enter_context(run).dataset
            except DeclarationError as error:
                if len(domains) == 1:
                    raise
                result.failures.append(f"{name}: {error}")
                result.unpublished.append(name)
                del runs[name]
        console.print("; ".join(map(str, choices)), soft_wrap=True)
        instance = held.enter_context(open_instance(Layout(settings.home)))
        resource = Recsys.of(settings, switch_dataset=bool(switched))
        for name, run in runs.items():
            close_dead_runs(instance, name)
            executed = execute(resource, "retrain", name, instance, console, stop)
            lines = failed_steps(executed.all_events) + failed_checks(executed.all_events)
            result.failures += [line if line.startswith(f"{name}: ") else f"{name}: {line}" for line in lines]
            if executed.asset_materializations_for_node(PUBLISHING_STEP):
                result.published[name] = _published(run)
                waiting = find_waiting(run.layout, name)
                result.waiting += [describe_waiting(name, waiting)] if waiting else []
            else:
                result.unpublished.append(name)
        if any(run.layout.published(name).exists() for name, run in runs.items()):
            result.failures += failed_steps(execute(resource, "compare", None, instance, console, stop).all_events)
    return result


def execute(
    recsys: Recsys,
    job_name: str,
    domain: str | None,
    instance: dg.DagsterInstance,
    console: Console,
    stop: Stop,
    assets: Sequence[dg.AssetKey] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job, or some assets of it, over a domain or over all of them; raise StoppedError if it was interrupted."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        handler = _StepHandler(domain or job_name, progress)
        loggers = {"steps": _logger(handler)}
        definitions = build_definitions(recsys.settings, loggers=loggers, resources={"recsys": recsys})
        job = definitions.resolve_job_def(job_name)
        handler.expect(len(job.graph.nodes) if assets is None else len(assets))
        result = job.execute_in_process(
            run_config={"loggers": {"steps": {}}},
            partition_key=domain,
            instance=instance,
            raise_on_error=False,
            asset_selection=assets,
            tags={COMMAND_TAG: "run", "recsys/process": str(os.getpid()), **REPOSITORY_TAG},
        )
    stop.check()
    return result


def _published(run: DomainRun) -> PublishedDomain:
    domain, chosen = run.domain.name, selected_models(run.settings)
    results = EvaluationResults(run)
    lists = newest_lists(run.layout, domain)
    with open_without_lock(lists) as published:
        return PublishedDomain(
            provenance=published.provenance(),
            sizes=published.sizes(),
            example_user=published.users_with_lists(1)[0],
            leaderboard=results.leaderboard(),
            lists=lists,
            report=run.layout.report(domain),
            skipped=[
                str(outcome)
                for outcome in results.missing()
                if outcome.state is State.SKIPPED and outcome.model in chosen
            ],
        )


class _StepHandler(logging.Handler):
    """Turns Dagster's events into a line for each step and the position of a bar."""

    def __init__(self, title: str, progress: Progress) -> None:
        super().__init__()
        self.title = title
        self.progress = progress
        self.task = progress.add_task(title, total=None)

    def expect(self, steps: int) -> None:
        """Set the number of steps."""
        self.progress.update(self.task, total=steps)

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is None:
            return
        step = _step_name(event.step_key or "")
        if event.is_step_start:
            self.progress.update(self.task, description=f"{self.title}: {step}")
        elif event.is_step_success:
            seconds = event.step_success_data.duration_ms / 1000
            self._print_line(step, f"{seconds:.1f} s", "dim")
            self.progress.advance(self.task)
        elif event.is_step_failure:
            self._print_line(step, "failed", "red")
            self.progress.advance(self.task)

    def _print_line(self, step: str, result: str, style: str) -> None:
        self.progress.console.print(Text.assemble(f"{self.title}: {step} ", (result, style)))


def _step_name(key: str) -> str:
    """Return the name of a step as the user knows it; Dagster numbers the step of the checks that it generates."""
    return "clean/column_schema_change" if key.startswith("asset_check_") else key.replace("__", "/")


def _logger(handler: logging.Handler) -> dg.LoggerDefinition:
    """Return a logger that hands every record to the handler."""

    @dg.logger
    def steps(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("steps")
        logger.addHandler(handler)
        return logger

    return steps
