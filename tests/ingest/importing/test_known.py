"""The files of public datasets are recognised, whatever their archive is called."""

from pathlib import Path

import pytest
from public_files import N_USERS, PUBLIC, write_archive
from typed_command import Typed

from recsys_dagster.ingest.declaration import read_declaration
from recsys_dagster.ingest.public_datasets import public_declarations


@pytest.mark.parametrize("dataset_id", PUBLIC)
def test_the_archive_of_a_public_dataset_is_recognised(
    dataset_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    has_header = public_declarations()[dataset_id].interactions.columns is None
    archive = write_archive(tmp_path, dataset_id, "archive" if has_header else None)
    typed = Typed(capsys, "import", str(archive), "--yes")
    assert (typed.code, typed.err) == (0, "")
    assert typed.out.startswith(f"These are the files of {dataset_id}, whose columns are known.")
    assert "600 rows, 100 % usable" in typed.out
    assert f"{N_USERS} users" in typed.out
    written = read_declaration(tmp_path / "home" / "datasets" / f"{dataset_id}.yaml")
    assert written == public_declarations()[dataset_id].model_copy(update={"archive": str(archive)})


def test_an_unpacked_archive_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    for name, content in PUBLIC["goodbooks-10k"]().items():
        (tmp_path / "books").mkdir(exist_ok=True)
        (tmp_path / "books" / name).write_bytes(content)
    typed = Typed(capsys, "import", str(tmp_path / "books"), "--yes")
    assert (typed.code, typed.err) == (0, "")
    written = read_declaration(tmp_path / "home" / "datasets" / "goodbooks-10k.yaml")
    assert (written.domain, written.interactions.files) == ("book", (str(tmp_path / "books" / "ratings.csv"),))


def test_a_public_dataset_is_declared_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    typed = Typed(capsys, "import", "goodbooks-10k", "--yes")
    assert (typed.code, typed.err) == (0, "")
    assert typed.out.endswith("Next: recsys run --domain book\n")
    written = read_declaration(tmp_path / "home" / "datasets" / "goodbooks-10k.yaml")
    assert written == public_declarations()["goodbooks-10k"]
