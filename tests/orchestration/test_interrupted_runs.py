"""`recsys run` as a user types it: killed, stopped, and twice at once."""

import shutil
import signal
import subprocess
import time

import pytest
from whole_runs import Home

from recsys_dagster.runtime.stopping import GRACE_SECONDS

STEPS = ("raw/files", "features_tables", "models/item_knn", "recommendations")


def killed_after(home: Home, step: str) -> None:
    """Start a run and SIGKILL it as soon as it has said that the step is done."""
    command, environment = home.command("run", "--domain", "movie")
    with subprocess.Popen(command, env=environment, cwd=home.path.parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if f"movie: {step}" in line or f"/{step}" in line:
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail(f"the run ended before {step}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the lists of a run that nothing disturbed."""
    home = Home(tmp_path_factory.mktemp("undisturbed") / "home", {})
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 0, done.stderr
    return home


def test_a_run_killed_anywhere_is_made_good_by_the_next(home: Home, undisturbed: Home) -> None:
    for step in STEPS:
        killed_after(home, step)
    again = home.recsys("run", "--domain", "movie")
    assert again.returncode == 0, again.stderr
    assert f"report: {home.path / 'reports' / 'movie' / 'index.html'}\n" in again.stdout
    assert home.lists("movie") == undisturbed.lists("movie")


def test_a_killed_run_leaves_the_lists_of_the_one_before(home: Home, undisturbed: Home) -> None:
    shutil.copytree(undisturbed.path, home.path)
    home.environment |= {"RECSYS_SEED": "7", "RECSYS_MAX_DRIFT": "100"}  # another world, let through by the checks
    killed_after(home, "champion")
    assert home.lists("movie") == undisturbed.lists("movie")


def test_a_signal_stops_the_run_soon_and_nothing_more_is_published(home: Home) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        stopped_by(number, home)
    assert home.recsys("run", "--domain", "anime").returncode == 0


def stopped_by(number: signal.Signals, home: Home) -> None:
    """Start a run of both domains and send it the signal within the first; examine how it ends."""
    command, environment = home.command("run")
    lines = []
    with subprocess.Popen(
        command, env=environment, cwd=home.path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "features_tables" in line:
                process.send_signal(number)
                sent = time.monotonic()
                break
        lines += process.stderr.readlines()
        assert process.stdout.read() == ""
        process.wait(120)
    assert process.returncode == 128 + number
    assert time.monotonic() - sent < GRACE_SECONDS + 5, "the interpreter may take a moment to end"
    assert not (home.path / "published").exists()
    assert not any(line.startswith("movie: raw") for line in lines), "the next domain is not begun"
    said = [line for line in lines if line.startswith("recsys: ")]
    assert said == [f"recsys: stopped by {number.name}; what was published stays; run it again at any time\n"]
    assert "Traceback" not in "".join(lines)


def test_the_second_of_two_runs_of_a_domain_is_refused_in_one_line(home: Home) -> None:
    command, environment = home.command("run", "--domain", "movie")
    with subprocess.Popen(command, env=environment, cwd=home.path.parent, stderr=subprocess.PIPE, text=True) as first:
        lock = home.path / "warehouse" / "movie.lock"
        while first.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.01)
        second = home.recsys("run", "--domain", "movie")
        first.kill()
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"another run of the domain 'movie' is active (process {first.pid})" in second.stderr
