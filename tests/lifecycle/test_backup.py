"""A backup is consistent while runs go on, and what is restored is what was backed up."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifecycle.retraining_process import retrain
from typed_command import Typed

from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle.backup import CONTENTS, restore_backup, write_backup
from recsys_dagster.lifecycle.pending import published_history
from recsys_dagster.lifecycle.rollback import rollback
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.serving.lookup import PublishedFile

BACKUPS = 12


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A RECSYS_HOME after two runs of the domain anime."""
    layout = Layout(tmp_path / "home")
    retrain(layout)
    retrain(layout)
    return layout


def contents(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def published_version(layout: Layout) -> str:
    with PublishedFile(layout.published("anime")) as lists:
        return lists.provenance().version


def test_what_is_restored_is_what_was_backed_up(layout: Layout, tmp_path: Path) -> None:
    before = contents(layout.home)
    backup = write_backup(layout, tmp_path / "state.tar.gz")
    assert backup.domains == ["anime"]
    restored = Layout(tmp_path / "elsewhere")
    assert restore_backup(tmp_path / "state.tar.gz", restored) == backup
    after = contents(restored.home)
    locks = {name for name in before | after if name.endswith(".lock")}
    assert after == {name: content for name, content in before.items() if name not in locks} | dict.fromkeys(
        locks & after.keys(), str(os.getpid()).encode()
    )
    # It works on: lists are read, models are loaded, and there is a step to go back.
    name, version = ModelStore(restored).champion("anime")
    assert published_version(restored) == version
    ModelStore(restored).load("anime", name, version, id_map_hash="i")
    assert rollback(restored, "anime", "tried").version != version


@pytest.fixture
def retraining(tmp_path: Path) -> Iterator[Layout]:
    """A RECSYS_HOME that another process retrains without a pause."""
    home = tmp_path / "home"
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent)))}
    command = [sys.executable, "-m", "lifecycle.retraining_process", str(home)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield Layout(home)
        process.kill()


def test_a_backup_that_is_taken_while_a_run_publishes_is_of_one_moment(retraining: Layout, tmp_path: Path) -> None:
    seen = set()
    for number in range(BACKUPS):
        archive, restored = tmp_path / f"{number}.tar", Layout(tmp_path / f"restored-{number}")
        write_backup(retraining, archive)
        restore_backup(archive, restored)
        champion = published_history(restored, "anime")[-1]
        ModelStore(restored).load("anime", champion.model, champion.version, id_map_hash="i")
        assert published_version(restored) == champion.version
        seen.add(champion.version)
    assert len(seen) > 1, "nothing was published meanwhile"


def test_a_run_that_was_killed_while_it_published_leaves_nothing_to_go_back_to_that_is_the_same(
    layout: Layout, tmp_path: Path
) -> None:
    layout.previous("anime").unlink()
    os.link(layout.published("anime"), layout.previous("anime"))
    write_backup(layout, tmp_path / "state.tar")
    restored = Layout(tmp_path / "restored")
    restore_backup(tmp_path / "state.tar", restored)
    assert not restored.previous("anime").exists()


def test_sqlite_files_are_copied_whole_while_they_are_written(layout: Layout, tmp_path: Path) -> None:
    database = layout.dagster() / "history" / "runs.db"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE runs AS SELECT 1 AS id")
        connection.commit()
        assert database.with_name("runs.db-wal").stat().st_size > 0
        write_backup(layout, tmp_path / "state.tar")
    restored = Layout(tmp_path / "restored")
    restore_backup(tmp_path / "state.tar", restored)
    copy = restored.dagster() / "history" / "runs.db"
    assert [path.name for path in copy.parent.iterdir()] == ["runs.db"]
    assert sqlite3.connect(copy).execute("SELECT id FROM runs").fetchall() == [(1,)]


def test_what_a_run_makes_again_is_left_out_and_secrets_stay_their_owners(layout: Layout, tmp_path: Path) -> None:
    for name in ("raw/ml/ratings.csv", "warehouse/anime.duckdb", "published/built/anime.duckdb", "secret.key"):
        (layout.home / name).parent.mkdir(parents=True, exist_ok=True)
        (layout.home / name).write_text("x")
    (layout.home / "secret.key").chmod(0o600)
    (layout.home / "outside").symlink_to("/etc")
    archive = tmp_path / "state.tar.gz"
    files = write_backup(layout, archive).files
    assert "secret.key" in files
    assert not [name for name in files if name.startswith(("raw", "warehouse", "published/built", "outside", ".tmp"))]
    assert archive.stat().st_mode & 0o777 == 0o600
    restore_backup(archive, Layout(tmp_path / "restored"))
    assert (tmp_path / "restored" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert not list(layout.home.glob(".tmp-*"))


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(layout: Layout, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar"
    write_backup(layout, archive)
    backed_up = published_version(layout)
    newer = retrain(layout)
    with pytest.raises(RecsysError, match=r"has models, published already.*--replace"):
        restore_backup(archive, layout)
    assert published_version(layout) == newer
    restore_backup(archive, layout, replace=True)
    assert published_version(layout) == backed_up
    (aside,) = layout.home.glob("before-restore-*")
    assert published_version(Layout(aside)) == newer
    assert not [name for name in write_backup(layout, archive).files if name.startswith("before-restore")]


def test_nothing_is_restored_while_a_run_is_active(layout: Layout, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar"
    write_backup(layout, archive)
    code = (
        "import sys; from pathlib import Path; from recsys_dagster.runtime.layout import Layout\n"
        "from recsys_dagster.lifecycle.backup import restore_backup\n"
        "restore_backup(Path(sys.argv[1]), Layout(Path(sys.argv[2])), replace=True)"
    )
    with domain_lock(layout, "anime"):
        command = [sys.executable, "-c", code, str(archive), str(layout.home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another run of the domain 'anime' is active" in done.stderr
    assert not list(layout.home.glob("before-restore-*"))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.98])
def test_an_archive_that_was_cut_short_changes_nothing(layout: Layout, tmp_path: Path, part: float) -> None:
    archive, home = tmp_path / "state.tar.gz", tmp_path / "restored"
    write_backup(layout, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(RecsysError, match="damaged, or no backup"):
        restore_backup(archive, Layout(home))
    assert {path.name for path in home.iterdir()} <= {"warehouse"}


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "models/../../escaped"])
def test_an_archive_that_would_write_elsewhere_is_refused(layout: Layout, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "state.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(RecsysError, match="is not a file under RECSYS_HOME"):
        restore_backup(archive, Layout(tmp_path / "restored"))
    assert not (tmp_path / "escaped").exists()


def test_a_changed_file_is_found_by_its_checksum(layout: Layout, tmp_path: Path) -> None:
    archive, unpacked = tmp_path / "state.tar", tmp_path / "unpacked"
    write_backup(layout, archive)
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    (unpacked / "models" / "anime" / "champion.json").write_text("{}")
    with tarfile.open(archive, "w") as tar:
        for path in sorted(path for path in unpacked.rglob("*") if path.is_file()):
            tar.add(path, path.relative_to(unpacked))
    assert (unpacked / CONTENTS).exists()
    with pytest.raises(RecsysError, match=r"champion\.json is not what was packed"):
        restore_backup(archive, Layout(tmp_path / "restored"))


class TestCommand:
    @pytest.fixture(autouse=True)
    def _home(self, layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("RECSYS_HOME", str(layout.home))
        monkeypatch.chdir(tmp_path)

    def test_it_says_what_was_backed_up_and_restored(self, layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "backup", "state.tar.gz")
        assert (typed.code, typed.err) == (0, "")
        assert "published lists of anime" in typed.out
        shutil.rmtree(layout.home)
        typed = Typed(capsys, "restore", "state.tar.gz")
        assert (typed.code, typed.err) == (0, "")
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7")
        assert typed.code == 0

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ("backup home/state.tar", "lies in RECSYS_HOME"),
            ("restore missing.tar", "missing.tar: not there"),
            ("restore text.tar", "damaged, or no backup"),
        ],
    )
    def test_what_cannot_be_done_is_one_line(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: str, line: str
    ) -> None:
        (tmp_path / "text.tar").write_text("no archive")
        typed = Typed(capsys, *words.split())
        assert (typed.code, typed.out) == (1, "")
        assert line in typed.err
        assert typed.err.count("\n") == 1

    def test_a_home_without_anything_is_not_backed_up(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "mistyped"))
        typed = Typed(capsys, "backup", "state.tar")
        assert (typed.code, typed.out) == (1, "")
        assert "mistyped: nothing to back up" in typed.err
        assert not (tmp_path / "state.tar").exists()
