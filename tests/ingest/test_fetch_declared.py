"""Declared files are copied once, and a missing file or a wrong column is one line with the cure."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from declared_data import declare, fetched, settings_of, write
from loopback import Server, Status

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.declared import look_up
from recsys_dagster.ingest.manifest import Manifest, read_manifest

SOURCE = {"files": "orders", "user": "u", "item": "i"}
IMPLICIT = {"ratings": "implicit", "interactions": SOURCE}
DAY = "u,i\n1,2\n"


def inodes(manifest: Manifest) -> dict[str, int]:
    return {name: file.path.stat().st_ino for name, file in manifest.files.items()}


def identity(home: Path) -> str | None:
    declaration = get_dataset("shop", settings_of(home)).declaration
    assert declaration is not None
    return look_up(declaration, settings_of(home), None).identity


def test_only_the_new_files_of_a_folder_are_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"orders/01.csv": DAY, "orders/02.csv": DAY})
    declare(tmp_path, IMPLICIT)
    first = fetched(tmp_path)
    kept = inodes(first)
    assert fetched(tmp_path) == first
    capsys.readouterr()
    write(tmp_path, {"orders/03.csv": DAY})
    second = fetched(tmp_path)
    assert {name: inodes(second)[name] for name in kept} == kept
    assert sorted(second.files) == ["interactions/01.csv", "interactions/02.csv", "interactions/03.csv"]
    assert second.data_version != first.data_version
    assert not first.folder.exists()
    assert capsys.readouterr().err == "shop: new: interactions/03.csv\n"
    assert read_manifest(get_dataset("shop", settings_of(tmp_path)), settings_of(tmp_path)) == second


def test_a_file_that_changed_or_vanished_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"orders/01.csv": DAY, "orders/02.csv": DAY, "orders/03.csv": DAY})
    declare(tmp_path, IMPLICIT)
    fetched(tmp_path)
    capsys.readouterr()
    write(tmp_path, {"orders/01.csv": DAY + "3,4\n"})
    (tmp_path / "datasets/orders/02.csv").unlink()
    manifest = fetched(tmp_path)
    assert manifest.files["interactions/01.csv"].path.read_text() == DAY + "3,4\n"
    assert capsys.readouterr().err == (
        "shop: changed since the last fetch: interactions/01.csv\n"
        "shop: gone, and with them their rows: interactions/02.csv\n"
    )


def test_what_a_sensor_looks_at_changes_with_the_files_and_with_the_declaration(tmp_path: Path) -> None:
    write(tmp_path, {"orders/01.csv": DAY})
    declare(tmp_path, IMPLICIT)
    seen = [identity(tmp_path)]
    assert fetched(tmp_path).identity == seen[0] == identity(tmp_path)
    write(tmp_path, {"orders/02.csv": DAY})
    seen.append(identity(tmp_path))
    write(tmp_path, {"orders/02.csv": DAY + "5,6\n"})
    seen.append(identity(tmp_path))
    declare(tmp_path, {"ratings": "implicit", "interactions": SOURCE | {"user": "i", "item": "u"}})
    seen.append(identity(tmp_path))
    (tmp_path / "datasets/orders/02.csv").unlink()
    seen.append(identity(tmp_path))
    assert None not in seen
    assert len(set(seen)) == len(seen)


def test_another_meaning_of_the_same_files_is_another_version(tmp_path: Path) -> None:
    write(tmp_path, {"orders/01.csv": DAY})
    declare(tmp_path, IMPLICIT)
    first = fetched(tmp_path)
    declare(tmp_path, {"ratings": "implicit", "interactions": SOURCE | {"user": "i", "item": "u"}})
    assert fetched(tmp_path).data_version != first.data_version


def test_files_of_a_declared_archive_are_found_by_their_base_name(tmp_path: Path) -> None:
    write(tmp_path, {"unused": ""})
    with zipfile.ZipFile(tmp_path / "datasets/all.zip", "w") as archive:
        archive.writestr("ml/deep/orders.csv", DAY)
        archive.writestr("ml/README.txt", "no data")
    declare(tmp_path, IMPLICIT | {"archive": "all.zip", "interactions": SOURCE | {"files": "orders.csv"}})
    assert list(fetched(tmp_path).files) == ["interactions/ml/deep/orders.csv"]
    declare(tmp_path, IMPLICIT | {"archive": "all.zip", "interactions": SOURCE | {"files": "order.csv"}})
    with pytest.raises(RecsysError, match=r"all\.zip has no order\.csv; it contains .*orders\.csv.*; correct `files`"):
        fetched(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": "order"}, r"datasets/order: no such file; there is orders\b.*; correct `files`"),
        ({"files": "nowhere/*.csv"}, r"nowhere/\*\.csv: no such file, and no folder .*nowhere; correct `files`"),
        ({"user": "usr"}, r"01\.csv: has no column usr \(did you mean user\?\); its columns are user, item; "
         r"correct interactions\.user in the declaration"),
        ({"user": "user", "item": "stars"}, r"no column stars; its columns are user, item; correct interactions\.item"),
        ({"encoding": "klingon"}, r"01\.csv: klingon is no known encoding"),
        ({"encoding": "ascii"}, r"01\.csv, line 3: expected ascii, found the byte 0xc3; say the actual `encoding`"),
        ({"format": "parquet"}, r"01\.csv: damaged or not whole"),
        ({"files": "keys.jsonl"}, r"keys\.jsonl: has no column user \(did you mean users\?\)"),
        ({"files": "half.csv.gz"}, r"half\.csv\.gz: damaged or not whole"),
        ({"files": "empty"}, r"empty: a folder without data files"),
        ({"files": "none.csv"}, r"none\.csv: is empty"),
        ({"files": "head.csv"}, r"the files of the interactions have no rows"),
        ({"files": "broken.zip"}, r"broken\.zip: .*(damaged|not whole|not a whole|has no column)"),
    ],
)  # fmt: skip
def test_a_declaration_that_does_not_fit_the_files_is_one_line_with_the_cure(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    packed = gzip.compress(b"user,item\n" + b"".join(f"{n},{n * n}\n".encode() for n in range(10_000)))
    write(
        tmp_path,
        {
            "orders/01.csv": "user,item\n1,2\né,3\n",
            "keys.jsonl": '{"users": 1, "item": 2}\n',
            "half.csv.gz": packed[: len(packed) // 2],
            "empty/note.md": "nothing",
            "none.csv": "",
            "head.csv": "user,item\n",
            "broken.zip": b"PK\x03\x04" + b"\0" * 100,
        },
    )
    declare(
        tmp_path, {"ratings": "implicit", "interactions": {"files": "orders", "user": "user", "item": "item", **change}}
    )
    with pytest.raises(RecsysError, match=message) as caught:
        fetched(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "raw/shop").glob(".tmp-*"))


def test_a_fault_leaves_the_previous_files(tmp_path: Path) -> None:
    write(tmp_path, {"orders/01.csv": DAY})
    declare(tmp_path, IMPLICIT)
    first = fetched(tmp_path)
    write(tmp_path, {"orders/02.csv": "other\n1\n"})
    with pytest.raises(RecsysError, match=r"02\.csv: has no column u"):
        fetched(tmp_path)
    assert read_manifest(get_dataset("shop", settings_of(tmp_path)), settings_of(tmp_path)) == first


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"orders/01.csv": DAY})
    declare(tmp_path, IMPLICIT)
    fetched(tmp_path)
    path = tmp_path / "raw/shop/manifest.json"
    stored = json.loads(path.read_text())
    stored["files"] = {"interactions/../../x": stored["files"]["interactions/01.csv"]}
    path.write_text(json.dumps(stored))
    with pytest.raises(RecsysError, match="which this project did not write"):
        fetched(tmp_path)


def test_a_file_behind_a_url_is_fetched_again_only_if_the_server_has_another(tmp_path: Path, server: Server) -> None:
    server.files["/orders.csv"] = DAY.encode()
    declare(
        tmp_path, {"ratings": "implicit", "interactions": SOURCE | {"files": server.url("/orders.csv?token=secret")}}
    )
    server.files["/orders.csv?token=secret"] = DAY.encode()
    first = fetched(tmp_path)
    assert first.files["interactions/orders.csv"].path.read_text() == DAY
    sent = len([path for path, _ in server.requests if path.startswith("/orders.csv?")])
    assert fetched(tmp_path) == first
    assert len([path for path, _ in server.requests if path.startswith("/orders.csv?")]) == sent
    server.files["/orders.csv?token=secret"] = (DAY + "7,8\n").encode()
    assert fetched(tmp_path).files["interactions/orders.csv"].path.read_text() == DAY + "7,8\n"
    assert "secret" not in (tmp_path / "raw/shop/manifest.json").read_text()


def test_a_url_without_the_file_is_one_line(tmp_path: Path, server: Server) -> None:
    declare(tmp_path, {"ratings": "implicit", "interactions": SOURCE | {"files": server.url("/nothing.csv")}})
    with pytest.raises(RecsysError, match=r"/nothing\.csv: the server has no such file \(HTTP 404\)"):
        fetched(tmp_path)
    server.plans["/nothing.csv"] = [Status(500)] * 5
    with pytest.raises(RecsysError, match=r"HTTP 500.*5 times in a row"):
        fetched(tmp_path)
