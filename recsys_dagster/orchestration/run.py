"""`recsys run`: the job `retrain` in this process, a line a finished step instead of Dagster's log."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from recsys_dagster.domains import get_domain
from recsys_dagster.errors import IncompleteError, RecsysError
from recsys_dagster.evaluation.results import EvaluationResults
from recsys_dagster.models.attempt import State
from recsys_dagster.models.selection import selected_models
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_checks, failed_steps
from recsys_dagster.runtime.text import printable
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun


def run_domains(settings: Settings, domains: list[str]) -> None:
    """Materialise everything for each domain in turn; one that fails does not stop the others.

    The run is recorded in the instance at DAGSTER_HOME where that is set, else nowhere.

    Raises:
        RecsysError: a domain failed; the message has the first cause of each.
        IncompleteError: the lists of all domains were published, but a model failed; the message has a line for each.
    """
    chosen = selected_models(settings)
    runs = {name: DomainRun(settings, get_domain(name)) for name in domains}
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    failures, gaps = [], []
    with ExitStack() as held, _instance() as instance:
        for run in runs.values():
            _ = held.enter_context(run).dataset
        for name, run in runs.items():
            result = _run(settings, "retrain", name, instance, console)
            causes = failed_steps(result.all_events)
            failures += [f"{name}: {cause}" for cause in causes]
            gaps += [f"{name}: {gap}" for gap in failed_checks(result.all_events)]
            if not causes:
                console.print(printable(_summary(run)), soft_wrap=True)
                for outcome in EvaluationResults(run).missing():
                    if outcome.state is State.SKIPPED and outcome.model in chosen:
                        console.print(printable(f"{name}: {outcome}"), style="dim", soft_wrap=True)
        if any(run.layout.published(name).exists() for name, run in runs.items()):
            failures += failed_steps(_run(settings, "compare", None, instance, console).all_events)
    if failures:
        raise RecsysError("\n".join(failures + gaps))
    if gaps:
        raise IncompleteError("\n".join(gaps))


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """The instance that keeps the history, or one that forgets."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance


def _run(
    settings: Settings, job_name: str, domain: str | None, instance: dg.DagsterInstance, console: Console
) -> dg.ExecuteInProcessResult:
    """Run a job, over a domain or over all of them, and return what came of it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        handler = _StepHandler(domain or job_name, progress)
        definitions = build_definitions(settings, loggers={"steps": _logger(handler)})
        job = definitions.resolve_job_def(job_name)
        handler.expect(len(job.graph.nodes))
        return job.execute_in_process(
            run_config={"loggers": {"steps": {}}}, partition_key=domain, instance=instance, raise_on_error=False
        )


def _summary(run: DomainRun) -> str:
    """What the run came to, in a line."""
    domain = run.domain.name
    with open_without_lock(run.layout.published(domain)) as published:
        lists = published.provenance()
    page = run.layout.report(domain)
    return f"{domain}: the lists are {lists.model}'s, refitted on {lists.trained_rows:,} interactions; see {page}"


class _StepHandler(logging.Handler):
    """Turns Dagster's events into a line a step and the position of a bar."""

    def __init__(self, what: str, progress: Progress) -> None:
        super().__init__()
        self.what = what
        self.progress = progress
        self.task = progress.add_task(what, total=None)

    def expect(self, steps: int) -> None:
        """Set how many steps there are."""
        self.progress.update(self.task, total=steps)

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is None:
            return
        step = (event.step_key or "").replace("__", "/")
        if event.is_step_start:
            self.progress.update(self.task, description=f"{self.what}: {step}")
        elif event.is_step_success:
            seconds = event.step_success_data.duration_ms / 1000
            self._print_line(step, f"{seconds:.1f} s", "dim")
            self.progress.advance(self.task)
        elif event.is_step_failure:
            self._print_line(step, "failed", "red")
            self.progress.advance(self.task)

    def _print_line(self, step: str, result: str, style: str) -> None:
        self.progress.console.print(Text.assemble(f"{self.what}: {step} ", (result, style)))


def _logger(handler: logging.Handler) -> dg.LoggerDefinition:
    """A logger that hands every record to the handler."""

    @dg.logger
    def steps(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("steps")
        logger.addHandler(handler)
        return logger

    return steps
