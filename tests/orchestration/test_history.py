"""`recsys run` and the UI share one history; the UI links to the pages."""

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.orchestration.active_runs import COMMAND_TAG, PARTITION, active_run
from recsys_dagster.orchestration.instance import CONFIG, close_dead_runs, open_instance, prepare_home
from recsys_dagster.reports.server import serve_pages
from recsys_dagster.runtime.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Layout(tmp_path / "home")


def test_the_history_is_under_the_home_with_the_projects_settings(layout: Layout) -> None:
    assert prepare_home(layout) == layout.dagster()
    assert (layout.dagster() / "dagster.yaml").read_text() == CONFIG.read_text()
    with open_instance(layout) as instance:
        assert instance.is_persistent
        assert not instance.telemetry_enabled


def test_a_history_of_ones_own_is_left_as_it_is(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "own"))
    assert prepare_home(layout) == tmp_path / "own"
    assert not layout.dagster().exists()


def test_a_run_of_the_command_is_in_the_history_with_all_that_it_materialised(home: Any) -> None:
    home.environment["RECSYS_MODELS"] = "popularity"
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 0, done.stderr
    with open_instance(Layout(home.path)) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(job_name="retrain"))
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert run.tags[".dagster/repository"] == "__repository__@recsys"
        report = dg.AssetKey(["serving", "report"])
        (record,) = instance.fetch_materializations(dg.AssetRecordsFilter(report, ["movie"]), limit=9).records
        shown = record.asset_materialization.metadata
        assert shown["page"].value == "http://127.0.0.1:3001/movie/index.html"
        assert Path(shown["path"].value).is_file()
        materialised = {key.to_user_string() for key in instance.all_asset_keys()}
    assert {
        "raw/files",
        "clean/items",
        "explore/profile",
        "models/popularity",
        "evaluation/leaderboard",
    } <= materialised
    assert "serving/domain_comparison" in materialised
    # The end of the run on the terminal: the best models, where everything is, and what to try next.
    lines = done.stdout.splitlines()
    assert any(re.match(r"1 +(popularity|recent_popularity|user_item_bias) ", line) for line in lines)
    assert any(line.endswith(str(Path("published") / "movie.duckdb")) for line in lines)
    assert any(line.endswith(str(Path("reports") / "movie" / "index.html")) for line in lines)
    next_steps = [line.strip() for line in lines[lines.index("Next:") + 1 :]]
    assert len(next_steps) == 2
    command, *words = next_steps[0].split()
    assert Path(command).name == "recsys"
    assert home.recsys(*words).returncode == 0


def test_a_run_whose_process_was_killed_is_not_active_and_is_closed_by_the_next(layout: Layout) -> None:
    with open_instance(layout) as instance:
        tags = {PARTITION: "movie", COMMAND_TAG: "run"}
        dead = dg.DagsterRun(job_name="retrain", status=dg.DagsterRunStatus.STARTED, tags=tags)
        instance.add_run(dead)
        assert active_run(instance, layout, "movie") is None
        close_dead_runs(instance, "movie")
        assert instance.get_run_by_id(dead.run_id).status is dg.DagsterRunStatus.FAILURE


# -- pages


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "reports" / "movie").mkdir(parents=True)
    (tmp_path / "reports" / "movie" / "index.html").write_text("<!doctype html><title>movie</title>")
    (tmp_path / "reports" / "movie" / "data.json").write_text("{}")
    (tmp_path / "secret.html").write_text("secret")
    return tmp_path / "reports"


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_pages_are_served_and_nothing_else(pages: Path) -> None:
    (pages / "linked.html").symlink_to(pages.parent / "secret.html")
    with serve_pages(pages, port=0) as url:
        assert status(f"{url}/movie/index.html") == 200
        for path in ("/movie/data.json", "/", "/movie/", "/../secret.html", "/linked.html", "/movie/none.html"):
            assert status(url + path) == 404, path


def test_a_taken_port_is_an_error_in_one_line(pages: Path, home: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RecsysError, match=f"port {port} of 127.0.0.1 is taken"), serve_pages(pages, port=port):
            pass
        done = home.recsys("ui", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"recsys: port {port} of 127.0.0.1 is taken" in done.stderr


def test_the_ui_starts_on_the_history_without_a_warning_and_ends_on_a_signal(home: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = home.command("ui", "--port", str(port))
    log = tmp_path / "log"
    url = f"http://127.0.0.1:{port}/server_info"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            for _ in range(600):
                try:
                    if status(url) == 200:
                        break
                except urllib.error.URLError:
                    pass
                try:
                    process.wait(0.5)
                    pytest.fail(log.read_text())
                except subprocess.TimeoutExpired:
                    pass
            else:
                pytest.fail(log.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
    text = log.read_text()
    assert "warn" not in text.lower(), text
    assert "deprecat" not in text.lower(), text
    assert (Layout(home.path).dagster() / "dagster.yaml").is_file()


@pytest.mark.parametrize("cause", ["no server", "no variables", "no yaml"])
def test_a_history_that_cannot_be_opened_is_one_line_with_the_cure(
    cause: str, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    deployed = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
    text = "storage: [" if cause == "no yaml" else deployed.read_text(encoding="utf-8")
    (folder / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_LOGS", str(tmp_path / "logs"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        port = str(taken.getsockname()[1])
        settings = {"HOST": "127.0.0.1", "PORT": port, "DB": "dagster", "USER": "dagster", "PASSWORD": "S3CRET"}
        for name, value in settings.items():
            monkeypatch.delenv(f"DAGSTER_POSTGRES_{name}", raising=False)
            if cause != "no variables":
                monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
        with pytest.raises(RecsysError, match="Dagster's history cannot be opened") as caught, open_instance(layout):
            pass
    message = str(caught.value)
    expected = {"no server": "Connection refused", "no variables": "DAGSTER_POSTGRES_", "no yaml": "dagster.yaml"}
    assert expected[cause] in message
    assert "\n" not in message
    assert "S3CRET" not in message
