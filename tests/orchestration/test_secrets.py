"""Passwords and tokens reach neither the files under RECSYS_HOME nor Dagster's history, logs and alarms."""

import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import dagster as dg
import pytest
from loopback import Server, Status, serving
from webhook import Webhook

from recsys_dagster.ingest import catalogue, download
from recsys_dagster.ingest.catalogue import Download
from recsys_dagster.orchestration.assets import raw
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.failures import failed_steps
from recsys_dagster.settings import Settings

SECRETS = (b"PASSW0RD", b"T0KEN", b"secret-token", b"KEYKEYKEYKEYKEYKEY")
ARCHIVE = "/mirror/ml-latest-small.zip"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that takes the place of the mirror and of the publisher."""
    monkeypatch.setattr(download, "FIRST_WAIT", 0.002)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    published = replace(catalogue.CATALOGUE["ml-latest-small"], source=Download(running.url("/publisher.zip")))
    monkeypatch.setitem(catalogue.CATALOGUE, "ml-latest-small", published)
    with serving(running):
        yield running


def archive() -> bytes:
    """A small archive of movies and ratings."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("ml/movies.csv", "movieId,title,genres\n1,Toy Story (1995),Adventure\n")
        packed.writestr("ml/ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n")
    return content.getvalue()


@pytest.mark.parametrize("outcome", ["success", "HTTP 500", "HTTP 403", "HTTP 404", "no archive", "wrong checksum"])
def test_the_secrets_of_a_mirror_are_kept_nowhere(
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    outcome: str,
) -> None:
    path = f"{ARCHIVE}?token=T0KEN"
    server.files[path] = b"nonsense" if outcome == "no archive" else archive()
    if outcome == "wrong checksum":
        server.files[f"{ARCHIVE}.md5?token=T0KEN"] = b"0123456789abcdef" * 2
    if outcome.startswith("HTTP"):
        server.plans[path] = [Status(int(outcome.split()[1]))] * 100
    home, history = tmp_path / "home", tmp_path / "history"
    history.mkdir()
    with serving(Webhook()) as webhook:
        settings = Settings(
            home=home,
            mirror=server.url("/mirror?token=T0KEN").replace("http://", "http://user:PASSW0RD@"),
            datasets={"movie": "ml-latest-small"},
            webhook=webhook.url,
            pseudonym_key="KEYKEYKEYKEYKEYKEY",
        )
        definitions = build_definitions(settings)
        op = definitions.resolve_assets_def(["raw", "files"]).op
        monkeypatch.setattr(op, "_retry_policy", raw.RETRIES._replace(delay=0.1))
        job = definitions.resolve_job_def("ingest")
        with dg.instance_for_test(temp_dir=str(history)) as instance, caplog.at_level(logging.DEBUG):
            result = job.execute_in_process(partition_key="movie", instance=instance, raise_on_error=False)
    failures = "\n".join(failed_steps(result.all_events))
    assert ("raw/files: http://127.0.0.1" in failures) == (outcome != "success")
    assert server.ranges_of("/publisher.zip") == []
    shown = "".join(capfd.readouterr()) + caplog.text + failures
    kept = [file.read_bytes() for folder in (home, history) for file in folder.rglob("*") if file.is_file()]
    assert len(kept) > 3
    for secret in SECRETS:
        assert secret not in shown.encode()
        assert not any(secret in content for content in kept)
