"""Wrong settings and folders that cannot be used end every command with one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_dagster.settings import PROJECT

RECSYS = [sys.executable, "-c", "from recsys_dagster.cli.main import main; main()"]
COMMANDS = (
    ("run", "-d", "movie"),
    ("tune", "-d", "movie", "-m", "ease"),
    ("rollback", "-d", "movie", "--reason", "x"),
    ("promote", "-d", "movie", "-m", "ease", "--reason", "x"),
)


def recsys(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with no settings but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_HOME"))}
    environment = clean | {f"RECSYS_{name}": value for name, value in variables.items()}
    return subprocess.run(
        [*RECSYS, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )


def the_line(ran: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line on standard error of a command that failed."""
    assert ran.returncode == code, ran.stderr
    (line,) = ran.stderr.splitlines()
    return line


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted read-only."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(mount_point)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs the rights of root")
    yield mount_point
    subprocess.run(["umount", str(mount_point)], check=True)


@pytest.mark.skipif(PROJECT is None, reason="not a checkout")
def test_a_command_in_another_folder_looks_in_the_project_and_says_so(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()  # so that the project's own is not read
    ran = recsys(tmp_path, "report", "-d", "movie")
    assert f"{PROJECT}/data/reports/movie/index.html" in ran.stdout + ran.stderr


def test_a_home_without_the_report_is_named_with_the_cure(tmp_path: Path) -> None:
    for command in ("report", "recommend"):
        line = the_line(
            recsys(tmp_path, command, "-d", "movie", *(["-u", "1"] * (command == "recommend")), HOME="here")
        )
        assert line.startswith(f"recsys: {tmp_path}/here/")
        assert "set RECSYS_HOME to the folder that has it" in line


def test_an_unknown_variable_ends_every_command(tmp_path: Path) -> None:
    for arguments in (("run",), ("recommend", "-d", "movie", "-u", "1"), ("datasets",)):
        line = the_line(recsys(tmp_path, *arguments, MOVIE_DATSET="ml-25m"))
        assert "RECSYS_MOVIE_DATSET is not a setting (did you mean RECSYS_DATASET_MOVIE?)" in line


def test_a_damaged_env_file_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('RECSYS_HOME="here\n')
    assert ".env, line 1: not of the form NAME=value; is a quote missing?" in the_line(recsys(tmp_path, "datasets"))


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_read_only_home_ends_the_command_with_the_cure(
    tmp_path: Path, read_only: Path, arguments: tuple[str, ...]
) -> None:
    line = the_line(recsys(tmp_path, *arguments, HOME=str(read_only / "home")))
    assert "Read-only file system" in line
    assert "RECSYS_HOME" in line


@pytest.mark.parametrize("home", ["/dev/null", "/proc/home", "/" + "x" * 300])
def test_an_impossible_home_ends_the_command_with_the_cure(tmp_path: Path, home: str) -> None:
    assert "RECSYS_HOME" in the_line(recsys(tmp_path, "run", "-d", "movie", HOME=home))


def test_an_invalid_webhook_ends_the_command_without_being_shown(tmp_path: Path) -> None:
    line = the_line(recsys(tmp_path, "datasets", WEBHOOK="hooks.example/S3CRET"))
    assert "RECSYS_WEBHOOK: it has to begin with http:// or https://" in line
    assert "S3CRET" not in line
