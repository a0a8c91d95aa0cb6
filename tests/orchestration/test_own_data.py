"""Files of any shape reach published lists in two commands, in the ids of the source."""

from pathlib import Path

import duckdb
import pytest
from shapes import EVENTS, SHAPES, Shape
from typed_command import Typed

from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.database import Warehouse

PUBLISHED = [shape for shape in SHAPES if shape.name in ("purchases", "titles_with_json_genres")]
"""Shapes that go the whole way here; the others as far as the clean tables, from where all go the same way."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def imported(shape: Shape, home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Import the files of a shape; return the id of the dataset."""
    typed = Typed(capsys, "import", *shape.write(home.parent / "files"), "--yes")
    assert (typed.code, typed.err) == (0, "")
    (path,) = (home / "datasets").glob("*.yaml")
    return path.stem


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_row_of_each_shape_reaches_the_clean_tables(
    shape: Shape, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=home, _env_file=None)
    dataset = get_dataset(imported(shape, home, capsys), settings)
    warehouse = Warehouse(home / "warehouse.duckdb")
    build_clean(warehouse, dataset, fetch(dataset, settings))
    with warehouse.connect() as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id) FROM clean.interactions"
        ).fetchone()
        rejected = connection.execute("SELECT reason, raw FROM clean.rejected").fetchall()
        titles, genres = connection.execute("SELECT count(title), count(genres) FROM clean.items").fetchone() or (0, 0)
        origin = connection.execute("SELECT scale_low, scale_high, user_ids, item_ids FROM clean.origin").fetchone()
    assert rejected == []
    assert counts == (len(EVENTS), 60, 40)
    assert (titles, genres) == ((40, 40) if shape.items else (0, 0))
    kinds = tuple("integer" if isinstance(one, int) else "text" for one in (shape.user, shape.item))
    assert origin == (*(shape.scale or (None, None)), *kinds)


@pytest.mark.parametrize("shape", PUBLISHED, ids=lambda shape: shape.name)
def test_lists_are_published_in_the_ids_of_the_source(
    shape: Shape, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset_id = imported(shape, home, capsys)
    run = Typed(capsys, "run", "--domain", dataset_id, "--models", "popularity,item_knn")
    assert run.code == 0, run.err
    with duckdb.connect(str(home / "published" / f"{dataset_id}.duckdb"), read_only=True) as connection:
        users = [user for (user,) in connection.execute("SELECT DISTINCT user_id FROM recommendations").fetchall()]
        items = {item for (item,) in connection.execute("SELECT DISTINCT item_id FROM recommendations").fetchall()}
    assert len(users) == 60
    assert shape.user in users
    assert items <= {f"SKU-{item:04d}{'ABC'[item % 3]}" for item in range(1, 41)}
    asked = Typed(capsys, "recommend", "--domain", dataset_id, "--user", str(shape.user), "-n", "3")
    assert asked.code == 0
