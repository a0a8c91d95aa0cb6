import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.model_store.decisions import previous_champions
from recsys_dagster.model_store.store import FORMAT_VERSION, ModelStore, params_of
from recsys_dagster.models.base import Model
from recsys_dagster.models.factorization.als import AlsParams
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.storage import sha256

COST = ResourceUsage(wall_seconds=1.5, cpu_seconds=2.0, peak_bytes=456, added_bytes=123)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Layout(tmp_path))


@pytest.fixture
def model(fitted: Callable[[str], Model]) -> Model:
    return fitted("user_item_bias")


def save(store: ModelStore, model: Model, id_map_hash: str = "ids") -> str:
    return store.save("movie", model, data_version="data", id_map_hash=id_map_hash, usage=COST)


def folder_of(tmp_path: Path, version: str) -> Path:
    return Layout(tmp_path).models("movie") / "user_item_bias" / version


def test_a_saved_model_comes_back_with_its_record(store: ModelStore, model: Model) -> None:
    version = save(store, model)
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", version)
    again, record = store.load("movie", "user_item_bias", id_map_hash="ids")
    users = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(again.recommend(users, 5).items, model.recommend(users, 5).items)
    assert (record.version, record.data_version, record.fit_seconds, record.peak_bytes) == (version, "data", 1.5, 123)
    assert record.params == model.params.model_dump()
    assert record.packages["numpy"] == np.__version__
    assert set(record.files) == {"state.json", "state.npz"}


def test_a_model_made_of_models_comes_back_whole(store: ModelStore, fitted: Callable[[str], Model]) -> None:
    stack = fitted("stack_linear")
    save(store, stack)
    again, record = store.load("movie", "stack_linear", id_map_hash="ids")
    users = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(again.recommend(users, 5).items, stack.recommend(users, 5).items)
    assert "member-0/state.npz" in record.files


def test_the_newest_version_is_current_and_the_older_can_still_be_loaded(store: ModelStore, model: Model) -> None:
    first, second = save(store, model), save(store, model)
    assert store.current_versions("movie") == {"user_item_bias": second}
    assert store.load("movie", "user_item_bias", id_map_hash="ids")[1].version == second
    assert store.load("movie", "user_item_bias", first, id_map_hash="ids")[1].version == first


def test_domains_do_not_see_each_other(store: ModelStore, model: Model) -> None:
    save(store, model)
    assert store.current_versions("anime") == {}


def test_a_save_that_fails_leaves_the_previous_version(
    store: ModelStore, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = save(store, model)

    def fail_halfway(folder: Path) -> None:
        (folder / "state.npz").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(model, "save", fail_halfway)
        with pytest.raises(RecsysError, match="disk is full"):
            save(store, model)
    assert store.load("movie", "user_item_bias", id_map_hash="ids")[1].version == version
    assert {path.name for path in folder_of(tmp_path, version).parent.iterdir()} == {version, "current.json"}


KILLED = """
import os, sys
from pathlib import Path
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout

home, saved = Path(sys.argv[1]), Path(sys.argv[2])
model = get_model_class("user_item_bias").load(saved)
whole_save = model.save

def save_and_die(folder):
    whole_save(folder)
    os.kill(os.getpid(), 9)

model.save = save_and_die
ModelStore(Layout(home)).save("movie", model, data_version="data", id_map_hash="ids", usage=ResourceUsage())
"""


def test_a_killed_save_leaves_the_previous_version_and_the_next_one_cleans_up(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    version = save(store, model)
    home = folder_of(tmp_path, version).parent
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(home / version)], check=False, capture_output=True, text=True
    )
    assert killed.returncode == -9, killed.stderr
    assert len(list(home.glob(".tmp-*"))) == 1
    assert store.current_versions("movie") == {"user_item_bias": version}
    second = save(store, model)
    assert {path.name for path in home.iterdir()} == {version, second, "current.json"}


@pytest.mark.parametrize("file", ["state.npz", "state.json"])
def test_a_damaged_file_is_named(store: ModelStore, model: Model, tmp_path: Path, file: str) -> None:
    path = folder_of(tmp_path, save(store, model)) / file
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(RecsysError, match=rf"{re.escape(str(path))}: missing or damaged; train user_item_bias again"):
        store.load("movie", "user_item_bias", id_map_hash="ids")
    path.unlink()
    with pytest.raises(RecsysError, match="missing or damaged"):
        store.load("movie", "user_item_bias", id_map_hash="ids")


def test_a_large_array_has_a_file_of_its_own_of_which_a_list_reads_what_it_needs(
    store: ModelStore, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys_dagster.models.base.LARGE_BYTES", 1)
    version = save(store, model)
    path = folder_of(tmp_path, version) / "popularity_.npy"
    users = np.arange(5, dtype=np.int32)
    again, record = store.load("movie", "user_item_bias", id_map_hash="ids", for_one_user=True)
    np.testing.assert_array_equal(again.recommend(users, 5).items, model.recommend(users, 5).items)
    assert record.files["popularity_.npy"] == sha256(path)
    again.popularity_[:] = -1
    assert record.files["popularity_.npy"] == sha256(path), "changes in memory are not written"
    path.write_bytes(path.read_bytes()[:-1])
    for for_one_user in (False, True):
        with pytest.raises(RecsysError, match=r"user_item_bias.*train user_item_bias again"):
            store.load("movie", "user_item_bias", id_map_hash="ids", for_one_user=for_one_user)
    path.unlink()
    with pytest.raises(RecsysError, match=r"popularity_\.npy: missing or damaged"):
        store.load("movie", "user_item_bias", id_map_hash="ids", for_one_user=True)


def test_what_is_read_whole_for_one_list_is_checked(store: ModelStore, model: Model, tmp_path: Path) -> None:
    path = folder_of(tmp_path, save(store, model)) / "state.npz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(RecsysError, match="missing or damaged"):
        store.load("movie", "user_item_bias", id_map_hash="ids", for_one_user=True)


@pytest.mark.parametrize("content", ["", "{", '{"model": "user_item_bias"}'])
def test_a_damaged_record_is_named(store: ModelStore, model: Model, tmp_path: Path, content: str) -> None:
    path = folder_of(tmp_path, save(store, model)) / "model.json"
    path.write_text(content)
    with pytest.raises(RecsysError, match=re.escape(str(path))):
        store.load("movie", "user_item_bias", id_map_hash="ids")


def test_a_model_of_other_ids_is_refused(store: ModelStore, model: Model) -> None:
    save(store, model, id_map_hash="old ids")
    with pytest.raises(RecsysError, match="fitted on other users and items"):
        store.load("movie", "user_item_bias", id_map_hash="new ids")


def test_a_model_that_was_never_fitted_or_does_not_exist_is_named(store: ModelStore) -> None:
    with pytest.raises(RecsysError, match="train user_item_bias first"):
        store.load("movie", "user_item_bias", id_map_hash="ids")
    with pytest.raises(UsageError, match="unknown model 'wizardry'; known: popularity, "):
        store.load("movie", "wizardry", id_map_hash="ids")
    with pytest.raises(RecsysError, match="choose the champion first"):
        store.champion("movie")


def test_the_champion_is_a_version_that_exists(store: ModelStore, model: Model) -> None:
    version = save(store, model)
    store.set_champion("movie", store.decide("movie", "user_item_bias", version, reason="the first", by="gate"))
    save(store, model)
    assert store.champion("movie") == ("user_item_bias", version)
    with pytest.raises(RecsysError, match="not there"):
        store.set_champion(
            "movie", store.decide("movie", "user_item_bias", "20200101T000000-000000", reason="", by="hand")
        )
    assert store.champion("movie") == ("user_item_bias", version)


def test_metrics_join_the_record_and_the_model_still_loads(store: ModelStore, model: Model, tmp_path: Path) -> None:
    version = save(store, model)
    store.record_metrics("movie", "user_item_bias", version, {"rmse": 0.9})
    _, record = store.load("movie", "user_item_bias", id_map_hash="ids")
    assert record.metrics == {"rmse": 0.9}
    assert json.loads((folder_of(tmp_path, version) / "model.json").read_text())["metrics"] == {"rmse": 0.9}


def test_learning_curves_are_those_of_the_models_that_have_one(
    store: ModelStore, model: Model, fitted: Callable[[str], Model]
) -> None:
    save(store, model)
    network = fitted("embedding_mlp")
    save(store, network)
    assert store.learning_curves("movie") == {"embedding_mlp": network.history_}


def amend_record(tmp_path: Path, version: str, /, **changes: object) -> None:
    path = folder_of(tmp_path, version) / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_record_names_the_code_that_made_the_model(store: ModelStore, model: Model) -> None:
    save(store, model)
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{8}", store.record("movie", "user_item_bias").code_version)


def test_a_model_of_another_major_version_of_a_library_that_it_needs_is_refused(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    version = save(store, model)
    amend_record(tmp_path, version, packages={"numpy": "1.26.4"})
    with pytest.raises(RecsysError, match=rf"made with numpy 1\.26\.4, and {np.__version__} is installed; train"):
        store.load("movie", "user_item_bias", id_map_hash="ids")
    series = np.__version__.split(".")[0]
    amend_record(tmp_path, version, packages={"numpy": f"{series}.999", "keras": "1.0"})
    store.load("movie", "user_item_bias", id_map_hash="ids")


def test_a_record_from_before_the_code_version_was_stored_still_loads(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    path = folder_of(tmp_path, save(store, model)) / "model.json"
    record = json.loads(path.read_text())
    del record["code_version"]
    path.write_text(json.dumps(record))
    assert store.load("movie", "user_item_bias", id_map_hash="ids")[1].code_version == ""


def test_a_record_holds_the_format_in_which_it_was_written(store: ModelStore, model: Model) -> None:
    save(store, model)
    assert store.record("movie", "user_item_bias").format_version == FORMAT_VERSION


def test_a_model_of_an_older_format_is_described_but_not_loaded(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    path = folder_of(tmp_path, save(store, model)) / "model.json"
    record = json.loads(path.read_text())
    del record["format_version"]
    path.write_text(json.dumps(record))
    assert store.record("movie", "user_item_bias").format_version == 1
    with pytest.raises(RecsysError, match=rf"written in format 1, and this .* loads format {FORMAT_VERSION}; train us"):
        store.load("movie", "user_item_bias", id_map_hash="ids")


def test_a_record_of_a_newer_format_is_refused_with_the_version_that_wrote_it(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    version = save(store, model)
    amend_record(tmp_path, version, format_version=99, code_version="9.0.0+abc", novelty=True)
    with pytest.raises(RecsysError, match=r"model\.json: written in format 99 by 9\.0\.0\+abc of the project"):
        store.record("movie", "user_item_bias")


def test_the_parameters_of_an_older_record_are_read_in_their_old_spelling(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    save(store, model)
    record = store.record("movie", "user_item_bias")
    assert params_of(replace(record, model="als", params={"maxIter": 3})) == AlsParams(max_iter=3)
    with pytest.raises(
        RecsysError, match=r"not the parameters of today's als \(wings: Extra inputs.*; train als again"
    ):
        params_of(replace(record, model="als", params={"wings": 3}))


def test_a_version_that_is_saved_as_not_current_leaves_the_current_one(store: ModelStore, model: Model) -> None:
    version = save(store, model)
    other = store.save("movie", model, data_version="d", id_map_hash="ids", usage=COST, current=False)
    assert store.current_versions("movie") == {"user_item_bias": version}
    assert store.load("movie", "user_item_bias", other, id_map_hash="ids")[1].version == other


def test_each_decision_is_a_row_of_the_history(store: ModelStore, model: Model) -> None:
    assert store.history("movie") == []
    first, second = save(store, model), save(store, model)
    store.record_metrics("movie", "user_item_bias", first, {"validation_ndcg_10": 0.25})
    store.set_champion("movie", store.decide("movie", "user_item_bias", first, reason="the first", by="gate"))
    store.set_champion(
        "movie",
        store.decide("movie", "user_item_bias", second, reason="looks better", by="hand", metrics={"ndcg": 0.5}),
    )
    rows = [
        (row.previous_model, row.previous_version, row.version, row.reason, row.by, row.metrics)
        for row in store.history("movie")
    ]
    assert rows == [
        (None, None, first, "the first", "gate", {"validation_ndcg_10": 0.25}),
        ("user_item_bias", first, second, "looks better", "hand", {"ndcg": 0.5}),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", row.at) for row in store.history("movie"))


def ordered_versions(store: ModelStore, model: Model, tmp_path: Path) -> list[str]:
    """Save six versions whose names are a second apart; the last one is current."""
    versions = []
    for second in range(6):
        version = save(store, model)
        versions.append(f"20260101T00000{second}-abcdef")
        folder_of(tmp_path, version).rename(folder_of(tmp_path, versions[-1]))
        amend_record(tmp_path, versions[-1], version=versions[-1])
    pointer = folder_of(tmp_path, "x").parent / "current.json"
    pointer.write_text(json.dumps({"version": versions[-1]}))
    return versions


def test_as_many_earlier_champions_stay_as_versions_are_kept(store: ModelStore, model: Model, tmp_path: Path) -> None:
    versions = ordered_versions(store, model, tmp_path)
    for version in (*versions[:4], versions[1]):
        store.set_champion("movie", store.decide("movie", "user_item_bias", version, reason="", by="gate"))
    earlier = [version for _, version in previous_champions(store.history("movie"))]
    assert earlier == [versions[3], versions[2], versions[0]], "the most recent first, without the present one"
    assert store.prune("movie", 2) == [("user_item_bias", versions[0])]
    assert store.versions("movie", "user_item_bias") == versions[1:]


def test_old_versions_go_but_never_the_champion_nor_those_before_it(
    store: ModelStore, model: Model, tmp_path: Path
) -> None:
    versions = ordered_versions(store, model, tmp_path)
    home = folder_of(tmp_path, "x").parent
    (home / "tuned.json").write_text("{}")
    store.set_champion("movie", store.decide("movie", "user_item_bias", versions[0], reason="", by="gate"))
    store.set_champion("movie", store.decide("movie", "user_item_bias", versions[1], reason="", by="gate"))
    store.set_champion("movie", store.decide("movie", "user_item_bias", versions[1], reason="stays", by="gate"))

    gone = store.prune("movie", 2, also=[("user_item_bias", versions[3])])

    assert gone == [("user_item_bias", versions[2])]
    assert store.versions("movie", "user_item_bias") == [versions[0], versions[1], *versions[3:]]
    assert store.prune("movie", 1) == [("user_item_bias", versions[3]), ("user_item_bias", versions[4])]
    assert {path.name for path in home.iterdir()} == {
        *(versions[0], versions[1], versions[5]), "current.json", "tuned.json",
    }  # fmt: skip


def test_a_damaged_history_is_named_with_the_cure(store: ModelStore, tmp_path: Path) -> None:
    path = Layout(tmp_path).models("movie") / "champion.json"
    path.parent.mkdir(parents=True)
    for content in ("{", '{"model": "ease", "version": "v"}'):
        path.write_text(content)
        with pytest.raises(RecsysError, match=re.escape(str(path)) + ".*move it away"):
            store.champion("movie")
