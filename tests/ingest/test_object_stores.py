"""Files in an object store are read through fsspec, from a real server of the protocol on loopback."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from declared_data import declare, fetched

from recsys_dagster.errors import RecsysError

DAY = b"u,i\n1,2\n"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket with a file a day."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    bucket = f"shop-{uuid.uuid4()}"  # the server of the test before has left its own
    files.mkdir(bucket)
    files.pipe({f"{bucket}/orders/01.csv": DAY, f"{bucket}/orders/02.csv": DAY})
    yield f"s3://{bucket}"
    server.stop()
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_folder_in_an_object_store_is_read_and_only_its_new_files_again(
    tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import fsspec

    declare(
        tmp_path, {"ratings": "implicit", "interactions": {"files": f"{store}/orders/*.csv", "user": "u", "item": "i"}}
    )
    first = fetched(tmp_path)
    assert sorted(first.files) == ["interactions/01.csv", "interactions/02.csv"]
    kept = first.files["interactions/01.csv"].path.stat().st_ino
    assert fetched(tmp_path) == first
    fsspec.filesystem("s3", skip_instance_cache=True).pipe(f"{store}/orders/03.csv", DAY + b"3,4\n")
    capsys.readouterr()
    second = fetched(tmp_path)
    assert second.files["interactions/03.csv"].path.read_bytes() == DAY + b"3,4\n"
    assert second.files["interactions/01.csv"].path.stat().st_ino == kept
    assert capsys.readouterr().err == "shop: new: interactions/03.csv\n"


def test_a_file_that_an_object_store_lacks_is_one_line(tmp_path: Path, store: str) -> None:
    declare(tmp_path, {"ratings": "implicit", "interactions": {"files": f"{store}/none.csv", "user": "u", "item": "i"}})
    with pytest.raises(RecsysError, match=r"/none\.csv: no such file; correct `files`"):
        fetched(tmp_path)
    declare(tmp_path, {"ratings": "implicit", "interactions": {"files": "s3://other/x.csv", "user": "u", "item": "i"}})
    with pytest.raises(RecsysError, match=r"s3://other/x\.csv: (no such file|cannot be read)") as caught:
        fetched(tmp_path)
    assert "\n" not in str(caught.value)
