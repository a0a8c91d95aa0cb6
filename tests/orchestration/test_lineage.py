"""The edges of the graph are what the assets read.

`python tests/orchestration/test_lineage.py` writes the snapshot anew after a change that is meant.
"""

import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from small_archive import write_archive

from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.orchestration.assets.papers import paper_key
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.outcomes import FITTED
from recsys_dagster.papers.as_published import PAPERS
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

# The edges of the tables are read out of their SQL; tests/warehouse has the tests of that.
SNAPSHOT = Path(__file__).with_name("lineage.json")
MODELS = ("popularity", "recent_popularity", "user_item_bias")
ASSETS = [
    "explore/profile",
    *(f"{group}/{name}" for group in ("models", "evaluation") for name in MODELS),
    "evaluation/leaderboard",
    *(f"serving/{name}" for name in ("champion", "lists", "recommendations", "report")),
]
FEEDBACK = "serving/recommendations"
"""What steps read of the run before: every step asks which dataset is published, and the new lists are compared."""
UNUSED = "features/user_genre_taste"
"""Loaded with all training data; a model that uses it says so (`reads_user_genre_taste`) and depends on it."""
NOT_MEASURED = {"raw/files", "explore/profile", "serving/champion", "papers/faults"} | {
    f"papers/{paper_key(paper)}" for paper in PAPERS
}
"""Dependencies that this test does not see an asset read, but a person would expect to be up to date."""


def edges(settings: Settings) -> dict[str, dict[str, Any]]:
    specs = build_definitions(settings).resolve_all_asset_specs()
    return {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "reads": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        }
        for spec in sorted(specs, key=lambda spec: spec.key.to_user_string())
    }


def test_every_asset_key_group_and_dependency_is_as_in_the_snapshot(tmp_path: Path) -> None:
    assert edges(Settings(home=tmp_path, _env_file=None)) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_no_group_is_longer_than_a_screen(tmp_path: Path) -> None:
    sizes: dict[str, int] = defaultdict(int)
    for asset in edges(Settings(home=tmp_path, _env_file=None)).values():
        sizes[asset["group"]] += 1
    # A model and its evaluation stand in one row of the graph: six rows fit on a screen at a size that can be read.
    rows = {group: n / 2 if group.startswith("models_") else n for group, n in sizes.items()}
    assert max(rows.values()) <= 6, rows
    assert sum(n for group, n in sizes.items() if group.startswith("models_")) == 2 * len(model_names())


# -- what a run reads


class Recorder:
    """Records which assets' results each step of a run reads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.step = ""
        self.reads: dict[str, set[str]] = defaultdict(set)

    def table(self, sql: str) -> None:
        if sql.lstrip().upper().startswith("DELETE"):
            return
        for schema, table in re.findall(r"\b(?:FROM|JOIN)\s+(clean|features|evaluation)\.(\w+)", sql, re.IGNORECASE):
            if schema == "evaluation":
                self.reads[self.step] |= {f"evaluation/{name}" for name in (*MODELS, "leaderboard")}
            elif table == "origin":  # not an asset: it is replaced together with the clean tables
                self.reads[self.step].add("clean/items")
            else:
                self.reads[self.step].add(f"{schema}/{table}")

    def file(self, path: object) -> None:
        home = str(self.layout.home)
        if not isinstance(path, str | Path) or not str(path).startswith(home):
            return
        parts = Path(path).relative_to(home).parts
        if parts[0] == "models" and parts[-1] in ("champion.json", "pending.json"):
            self.reads[self.step].add("serving/champion")
        elif parts[0] == "models":
            self.reads[self.step].add(f"models/{parts[2]}")
        elif parts[0] == "evaluation":
            self.reads[self.step].add(f"evaluation/{Path(path).stem}")
        elif parts[0] == "published":
            self.reads[self.step].add("serving/lists" if parts[1] == "built" else "serving/recommendations")

    @contextmanager
    def recording(self) -> Iterator[None]:
        recorder = self

        class Connection:
            def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

            def execute(self, sql: str, *arguments: Any) -> Any:
                recorder.table(sql)
                return self._connection.execute(sql, *arguments)

            def sql(self, sql: str, *arguments: Any, **options: Any) -> Any:
                recorder.table(sql)
                return self._connection.sql(sql, *arguments, **options)

        def connect(path: Any = ":memory:", *arguments: Any, **options: Any) -> Any:
            recorder.file(path)
            connection = real_connect(path, *arguments, **options)
            return Connection(connection) if path == recorder.layout.warehouse("movie") else connection

        def read_table(path: Any, *arguments: Any, **options: Any) -> Any:
            recorder.file(path)
            return real_read_table(path, *arguments, **options)

        real_connect, real_read_table, active = duckdb.connect, pq.read_table, True

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if active and event == "open" and isinstance(arguments[1], str) and "r" in arguments[1]:
                recorder.file(arguments[0])

        sys.addaudithook(hook)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(duckdb, "connect", connect)
            patch.setattr(pq, "read_table", read_table)
            yield
        active = False


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a mirror that holds small ratings, and the baselines as models."""
    folder = tmp_path_factory.mktemp("lineage")
    write_archive(folder)
    return Settings(
        home=folder / "home",
        mirror=str(folder),
        datasets={"movie": "ml-latest-small"},
        models=MODELS[:1],
        _env_file=None,
    )


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("dagster"))) as kept:
        yield kept


@pytest.fixture(scope="module")
def reads(small: Settings, instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """What each asset of a whole run read."""
    recorder = Recorder(Layout(small.home))
    run(small, instance, None)  # so that there is a champion, and lists to compare with
    with recorder.recording():
        for key in ASSETS:
            recorder.step = key
            run(small, instance, [key])
    return recorder.reads


def run(settings: Settings, instance: dg.DagsterInstance, keys: Sequence[str] | None) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(settings)
    if keys is None:
        job = definitions.resolve_job_def("retrain")
    else:
        assets = [dg.AssetKey(key.split("/")) for key in keys]
        fitted = [dg.AssetCheckKey(key, FITTED) for key in assets if key.path[-1] in model_names()]
        chosen = dg.AssetSelection.assets(*assets).without_checks() | dg.AssetSelection.checks(*fitted)
        with_job = dg.Definitions.merge(
            definitions, dg.Definitions(jobs=[dg.define_asset_job("chosen", selection=chosen)])
        )
        job = with_job.resolve_job_def("chosen")
    return job.execute_in_process(partition_key="movie", instance=instance)


def test_an_asset_reads_nothing_that_it_does_not_depend_on(small: Settings, reads: dict[str, set[str]]) -> None:
    declared = {key: set(asset["reads"]) for key, asset in edges(small).items()}
    assert reads["serving/report"] >= {"clean/ratings", "features/users", "models/popularity", "evaluation/leaderboard"}
    for key, found in reads.items():
        assert found, key
        assert found - {key, UNUSED, FEEDBACK} <= declared[key], key


def test_the_models_that_use_tastes_depend_on_their_table(small: Settings) -> None:
    of_tastes = {f"models/{name}" for name in model_names() if get_model_class(name).reads_user_genre_taste}
    assert of_tastes
    assert {key for key, asset in edges(small).items() if UNUSED in asset["reads"]} - of_tastes == set()


def test_an_asset_depends_on_nothing_that_it_does_not_read(small: Settings, reads: dict[str, set[str]]) -> None:
    declared = {key: set(asset["reads"]) for key, asset in edges(small).items()}
    others = {f"{group}/{name}" for group in ("models", "evaluation") for name in set(model_names()) - set(MODELS)}
    others.add("models/popularity")  # of the models, serving/lists reads the champion, here the damped bias
    sometimes = {
        "serving/recommendations": {"clean/users"},  # its checks look for ids that are texts, here numbers
        # Read where the champion is fitted again, because the run skipped it or gave it other parameters.
        "serving/champion": {
            "clean/items",
            *(f"features/{name}" for name in ("fold_cuts", "interactions", "item_genres")),
        },
    }
    for key, found in reads.items():
        assert declared[key] - found - others - NOT_MEASURED - sometimes.get(key, set()) == set(), key


# -- nothing is stale


SELECTIONS = [
    ["models/popularity", "evaluation/popularity", "serving/report"],
    ["models/popularity", "serving/report", "evaluation/popularity", "evaluation/leaderboard"],
    ["models/user_item_bias", "evaluation/user_item_bias", "serving/champion"],
    ["explore/profile", "serving/report"],
    ["clean/*", "serving/recommendations", "serving/lists"],
    ["raw/files", "explore/profile", "clean/*", "serving/report"],
    ["features/*", "evaluation/popularity", "serving/lists"],
    [
        "features/*",
        "clean/*",
        "models/popularity",
        "evaluation/popularity",
        "evaluation/leaderboard",
        "serving/recommendations",
    ],
    ["raw/files", "clean/*", "features/*", "models/*", "evaluation/*", "explore/profile", "serving/*"],
]


def expanded(patterns: Sequence[str], known: Sequence[str]) -> list[str]:
    models = [f"{group}/{name}" for group in ("models", "evaluation") for name in set(model_names()) - set(MODELS)]
    skipped = {*models, "serving/domain_comparison"}
    return [
        key
        for pattern in patterns
        for key in known
        if key not in skipped and re.fullmatch(pattern.replace("*", r"\w+"), key)
    ]


@pytest.mark.parametrize("patterns", SELECTIONS, ids=" ".join)
def test_after_any_selection_nothing_of_it_is_stale(
    small: Settings, instance: dg.DagsterInstance, reads: dict[str, set[str]], patterns: list[str]
) -> None:
    selection = expanded(patterns, list(edges(small)))
    random.Random(1).shuffle(selection)
    assert run(small, instance, selection).success
    graph = build_definitions(small).resolve_asset_graph()
    stale = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    for key in selection:
        asset = dg.AssetKey(key.split("/"))
        causes = [
            cause
            for cause in stale.get_stale_causes(asset, "movie")
            if cause.dependency is not None and cause.dependency.asset_key.to_user_string() in selection
        ]
        assert stale.get_status(asset, "movie") is StaleStatus.FRESH or causes == [], (key, causes)
    if "serving/report" in selection:
        page = Layout(small.home).report("movie").read_text(encoding="utf-8")
        assert ModelStore(Layout(small.home)).current_versions("movie")["popularity"] in page


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(edges(Settings(_env_file=None)), indent=1) + "\n", encoding="utf-8")
