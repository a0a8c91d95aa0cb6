"""Estimate what a run would take on this machine, step by step, and whether Spark is worth it.

The rates were measured in 2026 on two cores, as those of `models.budget`, on 20 and 57.6 million generated ratings
(benchmarks/RESULTS.md). On another machine they tell minutes from hours, and no more.
"""

import shutil
from dataclasses import dataclass, replace

from recsys_dagster.domains import Domain
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import Dataset, Generated, get_dataset
from recsys_dagster.ingest.manifest import Manifest, read_manifest
from recsys_dagster.lifecycle.dataset_choice import choose_dataset
from recsys_dagster.models.attempt import SkippedError
from recsys_dagster.models.budget import FOLDS, Estimate, Size
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.models.selection import budget_of, selected_models
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.memory import available_bytes
from recsys_dagster.runtime.spark_process import spark_problem
from recsys_dagster.runtime.units import GIB
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings

CLEAN_SECONDS, FEATURE_SECONDS = 2.7e-7, 2.2e-7
"""Of cleaning a raw row, and of the features of a pair."""
CLEAN_BYTES, FEATURE_BYTES = 8, 36
"""Memory of DuckDB for each of them, on top of `TABLE_BYTES`; where it has less, it spills to the disk."""
TABLE_BYTES = 1.1 * GIB
PAIR_BYTES = 20
"""Memory of a pair in the arrays that every model is given."""
DISK_FACTOR = 3
"""Disk that a run takes, in bytes of its raw files: themselves, the tables, and what DuckDB spills."""
USER_PAIRS, ITEMS_PER_ROOT = 150, 4
"""Where users and items are not counted yet: pairs of a user, and items for each root of the pairs, as in MovieLens."""


@dataclass(frozen=True)
class PlannedStep:
    """A step of a run.

    Attributes:
        name: the step, or the model that is fitted and evaluated.
        seconds: wall time.
        bytes: peak memory.
        skipped: whether a run would skip it, because it exceeds the budget of a model.
    """

    name: str
    seconds: float
    bytes: float
    skipped: bool = False


@dataclass(frozen=True)
class RunPlan:
    """What a run of a domain would take.

    Attributes:
        dataset: id of the dataset.
        size: users, items and pairs.
        known_from: where the size is known from, in words.
        raw_rows, raw_bytes: of the raw files.
        steps: in their order.
        advice: whether Spark is advised, and why.
    """

    dataset: str
    size: Size
    known_from: str
    raw_rows: int
    raw_bytes: int
    steps: tuple[PlannedStep, ...]
    advice: str

    @property
    def seconds(self) -> float:
        """Wall time of all steps that a run would not skip."""
        return sum(step.seconds for step in self.steps if not step.skipped)

    @property
    def bytes(self) -> float:
        """Largest memory of these steps."""
        return max(step.bytes for step in self.steps if not step.skipped)


def plan_run(settings: Settings, domain: Domain) -> RunPlan:
    """Plan the next run of a domain, with the dataset that it would use.

    Raises:
        RecsysError: the data were neither fetched nor published, so that nothing is known of their size.
    """
    dataset = get_dataset(choose_dataset(settings, domain, switch=True).dataset, settings)
    manifest = read_manifest(dataset, settings)
    size, known_from = _size(settings, domain, dataset, manifest)
    size = replace(size, most_evaluated=settings.evaluation_users)
    rows, raw_bytes = _raw(manifest, size)
    models = [_planned_model(settings, name, size) for name in selected_models(settings)]
    fitted = [(step, estimate) for step, estimate in models if not step.skipped]
    everybody = size.users / size.evaluated_users / FOLDS
    champion, largest = max(fitted, key=lambda one: one[1].fit + one[1].ranking * everybody)
    steps = (
        PlannedStep("clean tables", 1 + CLEAN_SECONDS * rows, TABLE_BYTES + CLEAN_BYTES * rows),
        PlannedStep("features", 1 + FEATURE_SECONDS * size.pairs, TABLE_BYTES + FEATURE_BYTES * size.pairs),
        *(step for step, _ in models),
        PlannedStep(f"lists, if of {champion.name}", largest.fit + largest.ranking * everybody, champion.bytes),
    )
    return RunPlan(dataset.id, size, known_from, rows, raw_bytes, steps, spark_advice(settings, size, raw_bytes))


def spark_advice(settings: Settings, size: Size, raw_bytes: int) -> str:
    """Say whether Spark is advised: only for data that this machine cannot hold, as it is slower on one machine."""
    there = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free_memory, free_disk = available_bytes(), shutil.disk_usage(there).free
    arrays, disk = PAIR_BYTES * size.pairs, DISK_FACTOR * raw_bytes
    needs = []
    if free_memory is not None and arrays > free_memory / 2:
        needs.append(f"the pairs alone take {arrays / GIB:.1f} of {free_memory / GIB:.1f} GiB of memory")
    if disk > free_disk:
        needs.append(f"the tables take about {disk / GIB:.0f} of {free_disk / GIB:.0f} GiB of disk")
    if not needs:
        return (
            f"Spark is not advised: DuckDB spills to the disk, which takes about {disk / GIB:.1f} of"
            f" {free_disk / GIB:.0f} GiB, and on one machine it is faster (docs/spark.md)"
        )
    problem = spark_problem()
    return f"Spark on a cluster is advised: {' and '.join(needs)}{'' if problem is None else f'; {problem}'}"


def _planned_model(settings: Settings, name: str, size: Size) -> tuple[PlannedStep, Estimate]:
    estimate, budget = get_model_class(name)().estimate(size), budget_of(settings, name)
    skipped = False
    if budget is not None:
        try:
            budget.require(estimate)
        except SkippedError:
            skipped = True
    return PlannedStep(name, estimate.seconds, estimate.bytes + PAIR_BYTES * size.pairs, skipped), estimate


def _published_size(settings: Settings, domain: Domain, dataset: str) -> Size | None:
    """Return the size of the published dataset; None if another one, or none, is published."""
    path = Layout(settings.home).published(domain.name)
    if not path.exists():
        return None
    with open_without_lock(path) as published:
        origin, sizes = published.provenance(), published.sizes()
    return Size(sizes["users"], sizes["items"], origin.trained_rows) if origin.dataset == dataset else None


def _size(settings: Settings, domain: Domain, dataset: Dataset, manifest: Manifest | None) -> tuple[Size, str]:
    """Return the size and where it is known from."""
    published, source = _published_size(settings, domain, dataset.id), dataset.source
    if published is not None:
        return published, "as published"
    if isinstance(source, Generated):
        return Size(source.n_users, source.n_items, source.n_ratings), "as it is generated"
    if manifest is None:
        raise RecsysError(
            f"{dataset.id}: neither fetched nor published, so that its size is not known; `recsys run --domain"
            f" {dataset.domain}` fetches it, and may be stopped then"
        )
    pairs = max(file.lines for file in manifest.files.values())
    guess = Size(max(1, pairs // USER_PAIRS), max(1, round(ITEMS_PER_ROOT * pairs**0.5)), pairs)
    return guess, "users and items are guessed from the raw rows"


def _raw(manifest: Manifest | None, size: Size) -> tuple[int, int]:
    """Return the rows and bytes of the raw files; those of a sample that is not there yet are estimated."""
    if manifest is None:
        return size.pairs + size.items, 30 * size.pairs
    files = manifest.files.values()
    return sum(file.lines for file in files), sum(file.bytes for file in files)
