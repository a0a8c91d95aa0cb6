"""Spark makes the same rows of every table as DuckDB, out of all formats, declared datasets and malformed lines."""

import json
import os
import pickle
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from declared_data import declare, write
from handmade import dataset_of, manifest_of
from protocol_tables import make_protocols
from spark_environment import configure, needs_spark

from recsys_dagster.ingest.catalogue import Dataset, get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
from recsys_dagster.runtime.spark_process import run_spark
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.database import Warehouse, quoted
from recsys_dagster.warehouse.duckdb_engine import DuckDBEngine
from recsys_dagster.warehouse.sql_files import sql_tables

pytestmark = needs_spark

MIRROR = os.environ.get("RECSYS_MIRROR")
CASES = Path(os.environ.get("RECSYS_CASES") or (Path(MIRROR).parent / "cases" if MIRROR else "cases"))
REAL = (
    "ml-latest-small",
    "anime-recommendations-database",
    "anime-recommendation-database-2020",
    "myanimelist",
)
LINES = 4000
"""Lines of the large files of a real dataset that are kept, so that the test is quick."""
PIECES = {"malformed": "16k", "text": "8k", "myanimelist": "100k"}
"""Sizes for which files are read in several pieces; those of the others are read whole, as each task has its cost."""
KEY = b"a key for the tests"
SEED = 42
PROTOCOLS = {
    "seed": 7, "test_share": 0.2, "like_threshold": 4.0, "likes_at_least": 3.0, "users_at_least": 10.0,
    "users_share": 0.1,
}  # fmt: skip
SHOP = {"user": "customer", "item": "sku", "rating": "stars", "time": "created_at"}


@dataclass(frozen=True)
class Build:
    """A dataset with its tables in DuckDB, and where Spark writes its own.

    Attributes:
        protocols: whether the folds of every protocol are made as well.
        piece: size of the pieces that Spark reads of a raw file, and of what it writes.
    """

    dataset: Dataset
    manifest: Manifest
    warehouse: Warehouse
    folder: Path
    protocols: bool
    piece: str

    @property
    def job(self) -> dict[str, Any]:
        inputs = self.folder / "inputs"
        inputs.write_bytes(pickle.dumps((self.dataset, self.manifest)))
        return {
            "inputs": str(inputs),
            "folder": str(self.folder),
            "key": KEY.hex(),
            "max_rejected": 1.0,
            "scale": self.dataset.scale,
            "seed": SEED,
            "protocols": PROTOCOLS if self.protocols else None,
            "piece": self.piece,
        }


def cut_short(file: ManifestFile) -> ManifestFile:
    """Cut a large file after LINES lines."""
    lines = file.path.read_bytes().splitlines(keepends=True)[:LINES]
    path = file.path.with_name(f"short-{file.path.name}")
    path.write_bytes(b"".join(lines))
    return replace(file, path=path, bytes=path.stat().st_size, lines=len(lines))


def real(home: Path, dataset_id: str, mirror: Path) -> tuple[Dataset, Manifest]:
    """A dataset of a mirror. Files of interactions are cut; in others a row may have several lines."""
    settings = Settings(home=home, mirror=str(mirror), _env_file=None)
    dataset = get_dataset(dataset_id, settings)
    manifest = fetch(dataset, settings)
    large = {name: file for name, file in manifest.files.items() if b'"' not in file.path.read_bytes()}
    return dataset, replace(manifest, files=manifest.files | {name: cut_short(file) for name, file in large.items()})


def malformed(home: Path) -> tuple[Dataset, Manifest]:
    """Ratings without quotes, of which Spark reads many pieces, with every fault at random places."""
    rng = random.Random(5)
    faults = ["x,1,4,1000000000", "1,2,3.0", "1,2,3,1000000000,7", "3,1,,1000000000", "", "1,9999,4,1", "1,2,9,3",
              "2,2,4,soon", "1.5,2,4,1000000000", "2.0,3,4.0,1000000000", "  ", "4,4,nan,1000000000"]  # fmt: skip
    lines = ["userId,movieId,rating,timestamp"]
    for _ in range(3000):
        lines.append(
            f"{rng.randint(1, 60)},{rng.randint(1, 80)},{rng.randint(1, 10) / 2},{10**9 + rng.randrange(10**7)}"
        )
        if rng.random() < 0.1:
            lines.append(rng.choice(faults))
    movies = [
        "movieId,title,genres",
        *(f'{n},"Film, {n} ({1950 + n})",Action|Drama' for n in range(1, 70)),
        "x,No,",
        "7",
    ]
    files: dict[str, str | bytes] = {"movies.csv": "\n".join(movies), "ratings.csv": "\r\n".join(lines)}
    dataset = replace(dataset_of("movielens"), id="malformed")
    return dataset, manifest_of(home / "raw", dataset.format, files)


def declared(home: Path, content: dict[str, Any], files: dict[str, str]) -> tuple[Dataset, Manifest]:
    write(home, files)
    declare(home, content)
    settings = Settings(home=home, _env_file=None)
    dataset = get_dataset("shop", settings)
    return dataset, fetch(dataset, settings)


def orders(rng: random.Random, name: str) -> list[tuple[str, str, object, str]]:
    """Orders, of which some ids look like numbers, some repeat, and some are faulty."""
    customers = [f"{name}-{n}" for n in range(20)] + ["0017", "17", " 17", "é"]
    rows: list[tuple[str, str, object, str]] = [
        (rng.choice(customers), f"sku/{rng.randint(1, 30)}", rng.choice([1, 2, 4.5, 5, 9, "x", ""]),
         f"2026-0{rng.randint(1, 9)}-{rng.randint(10, 28)}T10:{rng.randint(10, 59)}:00+02:00")
        for _ in range(300)
    ]  # fmt: skip
    return rows


def text_shop(home: Path) -> tuple[Dataset, Manifest]:
    """Text ids, in a CSV file that is read in pieces and in JSON lines, with items of which some are repeated."""
    rng = random.Random(6)
    names = list(SHOP.values())
    csv = "\n".join([",".join(names), *(",".join(map(str, row)) for row in orders(rng, "csv"))])
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in orders(rng, "json")]
    lines[7] = "{broken"
    items = "sku,name,price,tags\n" + "".join(f'sku/{n % 25},"A ""thing"", {n}",{n}.0,a|B| a\n' for n in range(28))
    content = {
        "ratings": {"scale": [1, 5], "liked_from": 4},
        "interactions": {"files": ["a.csv", "b.jsonl"], **SHOP},
        "items": {
            "files": "items.csv", "item": "sku", "title": "name", "members": "price",
            "genres": {"column": "tags", "separator": "|"},
        },
    }  # fmt: skip
    return declared(home, content, {"a.csv": csv, "b.jsonl": "\n".join(lines), "items.csv": items})


def pseudonymous_shop(home: Path) -> tuple[Dataset, Manifest]:
    """Purchases whose weights add up, of users whose names are replaced, and of items known by their ids only."""
    rng = random.Random(8)
    rows = [(rng.choice("abcdefgh"), rng.randint(1, 12), rng.choice([1, 2.5, -1, ""])) for _ in range(400)]
    csv = "user;item;kg\n" + "".join(f"{user};{item};{weight}\n" for user, item, weight in rows)
    content = {
        "ratings": "implicit",
        "pseudonymise": True,
        "interactions": {"files": "a.csv", "user": "user", "item": "item", "weight": "kg"},
    }
    return declared(home, content, {"a.csv": csv})


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Build], dict[str, str]]:
    """What was built by both engines, and what Spark failed at."""
    home = tmp_path_factory.mktemp("engines")
    makers: dict[str, Any] = {"malformed": malformed, "text": text_shop, "pseudonyms": pseudonymous_shop}
    if MIRROR:
        makers |= {name: lambda folder, name=name: real(folder, name, Path(MIRROR or "")) for name in REAL}
    for case in sorted(CASES.glob("*/*.zip")) if os.environ.get("RECSYS_SOAK_POINTS") else []:
        makers[case.parent.name] = lambda folder, case=case: real(folder, case.stem, case.parent)
    built = {}
    for name, make in makers.items():
        folder = home / name / "spark"
        folder.mkdir(parents=True)
        dataset, manifest = make(home / name)
        warehouse = Warehouse(home / name / "tables.duckdb", key=lambda: KEY)
        build_clean(warehouse, dataset, manifest)
        build_features(warehouse, SEED)
        built[name] = Build(
            dataset, manifest, warehouse, folder, protocols=name == "malformed", piece=PIECES.get(name, "8m")
        )
        if built[name].protocols:
            with warehouse.connect() as connection:
                connection.execute("CREATE SCHEMA protocol")
                make_protocols(DuckDBEngine(connection, warehouse.scratch), PROTOCOLS)
    with pytest.MonkeyPatch.context() as monkeypatch:
        configure(home, monkeypatch)
        failures = run_spark("spark_jobs:build_all", {"builds": {name: build.job for name, build in built.items()}})
    return built, failures["failures"]


NAMES = ("malformed", "text", "pseudonyms", *REAL, *sorted(path.parent.name for path in CASES.glob("*/*.zip")))


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_the_same_rows_by_both_engines(
    name: str, builds: tuple[dict[str, Build], dict[str, str]]
) -> None:
    built, failures = builds
    if name not in built:
        pytest.skip(
            "RECSYS_MIRROR names no mirror of the real datasets, or RECSYS_SOAK_POINTS is not set for the cases"
        )
    assert failures.get(name) is None
    build = built[name]
    schemas = ("clean", "features", "protocol") if build.protocols else ("clean", "features")
    different = {}
    with build.warehouse.connect() as connection:
        for table in (table for schema in schemas for table in sql_tables(schema)):
            ours = f"{table.schema}.{table.name}"
            theirs = f"read_parquet({quoted(build.folder / table.schema / table.name / '*.parquet')})"
            columns = [connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall() for rows in (ours, theirs)]
            assert [row[:2] for row in columns[0]] == [row[:2] for row in columns[1]], ours
            for one, other in ((ours, theirs), (theirs, ours)):
                query = f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}"
                if extra := connection.execute(f"{query} ORDER BY ALL LIMIT 3").fetchall():
                    different[ours, "duckdb" if one == ours else "spark"] = extra
    assert different == {}
