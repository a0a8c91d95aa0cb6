"""A model store whose files were damaged, mutated or replaced by links: one line that names the file and the cure."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.base import Model
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.storage import sha256

NAME = "user_item_bias"
FILES = ("model.json", "state.json", "state.npz", "current.json", "champion.json")
SEEDS = range(12)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Layout(tmp_path / "home"))


@pytest.fixture
def version(store: ModelStore, fitted: Callable[[str], Model]) -> str:
    """A stored model, which is the champion."""
    model = fitted(NAME)
    saved = store.save("movie", model, data_version="data", id_map_hash="ids", usage=ResourceUsage(1.5, 2.0, 123))
    store.set_champion("movie", store.decide("movie", NAME, saved, reason="the first", by="gate"))
    return saved


def path_of(store: ModelStore, version: str, file: str) -> Path:
    layout = store.layout
    if file == "champion.json":
        return layout.champion("movie")
    return (
        layout.current_version("movie", NAME)
        if file == "current.json"
        else layout.model("movie", NAME) / version / file
    )


def read_everything(store: ModelStore) -> None:
    """Read whatever the pipeline reads of a model store."""
    store.champion("movie")
    store.history("movie")
    store.learning_curves("movie")
    model, _ = store.load("movie", NAME, id_map_hash="ids")
    model.recommend(np.arange(5, dtype=np.int32), 3)


def mutate(content: bytes, seed: int) -> bytes:
    """Cut, overwrite, repeat or insert bytes."""
    draw = random.Random(seed)
    place = draw.randrange(len(content))
    length = draw.randrange(1, 40)
    return (
        content[:place],
        content[:place] + bytes(draw.randrange(256) for _ in range(length)) + content[place + length :],
        content[:place] + content[place : place + length] * 3 + content[place + length :],
        content[:place] + draw.choice([b"null", b"[", b"{", b'"', b"\x00", b"-1e999", b"NaN"]) + content[place:],
    )[seed % 4]


def assert_one_line(error: RecsysError, home: Path, name: str = "") -> None:
    message = str(error)
    assert "\n" not in message
    assert str(home) in message
    assert name in message
    assert f"train {NAME} again" in message or f"train {NAME} first" in message or "move it away" in message, message


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutated_file_is_read_as_before_or_named(
    store: ModelStore, version: str, tmp_path: Path, file: str, seed: int
) -> None:
    path = path_of(store, version, file)
    path.write_bytes(mutate(path.read_bytes(), seed))
    try:
        read_everything(store)
    except RecsysError as error:
        assert_one_line(error, tmp_path, path.name)


@pytest.mark.parametrize("file", ["state.json", "state.npz"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutated_file_whose_checksum_was_adjusted_is_loaded_or_refused_in_one_line(
    store: ModelStore, version: str, tmp_path: Path, file: str, seed: int
) -> None:
    path, record = path_of(store, version, file), path_of(store, version, "model.json")
    path.write_bytes(mutate(path.read_bytes(), seed))
    fields = json.loads(record.read_text())
    fields["files"][file] = sha256(path)
    record.write_text(json.dumps(fields))
    try:
        store.load("movie", NAME, id_map_hash="ids")
    except RecsysError as error:
        assert_one_line(error, tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", ["", "null", "7", "[]", "{}", '"text"', "[" * 100_000, '{"version": "../../x"}'])
def test_json_of_another_shape_is_named(
    store: ModelStore, version: str, tmp_path: Path, file: str, content: str
) -> None:
    path = path_of(store, version, file)
    path.write_text(content)
    with pytest.raises(RecsysError, match=path.name) as refused:
        read_everything(store)
    assert_one_line(refused.value, tmp_path)


@pytest.mark.parametrize("file", FILES)
def test_a_folder_in_place_of_a_file_is_named(store: ModelStore, version: str, tmp_path: Path, file: str) -> None:
    path = path_of(store, version, file)
    path.unlink()
    path.mkdir()
    with pytest.raises(RecsysError, match=path.name) as refused:
        read_everything(store)
    assert_one_line(refused.value, tmp_path)


@pytest.mark.parametrize("field", ["params", "seed", "files", "metrics", "packages", "fit_seconds", "version", "model"])
def test_a_field_of_a_record_of_the_wrong_type_is_named(store: ModelStore, version: str, field: str) -> None:
    path = path_of(store, version, "model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: ["wrong"]}))
    with pytest.raises(RecsysError, match=rf"model\.json: damaged \({field}.*\); train {NAME} again"):
        store.record("movie", NAME)


@pytest.mark.parametrize("file", ["../../../outside", "/etc/passwd"])
def test_a_record_that_names_a_file_elsewhere_is_refused(store: ModelStore, version: str, file: str) -> None:
    path = path_of(store, version, "model.json")
    fields = json.loads(path.read_text())
    fields["files"][file] = "0" * 64
    path.write_text(json.dumps(fields))
    with pytest.raises(RecsysError, match=r"model\.json: damaged \(it names the file"):
        store.load("movie", NAME, id_map_hash="ids")


@pytest.mark.parametrize("linked", ["version", "state.npz", "model.json"])
def test_a_link_out_of_the_home_is_refused(store: ModelStore, version: str, tmp_path: Path, linked: str) -> None:
    folder = path_of(store, version, "model.json").parent
    inside = folder if linked == "version" else folder / linked
    outside = tmp_path / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(RecsysError, match="leads out of RECSYS_HOME"):
        store.load("movie", NAME, id_map_hash="ids")


def test_pruning_never_deletes_what_a_link_points_to(store: ModelStore, version: str, tmp_path: Path) -> None:
    home = path_of(store, version, "current.json").parent
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "model.json").write_text("{}")
    (home / "20200101T000000-abcdef").symlink_to(outside)
    assert store.prune("movie", 1) == [(NAME, "20200101T000000-abcdef")]
    assert (outside / "model.json").exists()
    assert store.versions("movie", NAME) == [version]
