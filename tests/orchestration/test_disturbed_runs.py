"""A retrain that is killed anywhere, or runs out of disk, leaves whole lists, and the next one makes it good.

Four kills and three full disks here; `make soak` has fifty of each.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

POINTS = os.environ.get("RECSYS_SOAK_POINTS")
DRIVER = Path(__file__).with_name("disturbing.py")


def disturbed(how: str, folder: Path, points: int) -> list[dict[str, Any]]:
    """What the driver tells of each point, after what must hold at any point was held against it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
    command = [sys.executable, str(DRIVER), how, str(folder), str(points)]
    done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        pytest.fail((folder.parent / "log").read_text(encoding="utf-8")[-4000:])
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == points
    for point in told:
        assert point["opened"], point
        assert point["left"] in ("before", "after"), point
        assert point["next_run"] == 0, point
        assert point["same_result"], point
        assert not point["leftovers"], point
    assert told[0]["left"] == "before"
    return told


def test_a_retrain_killed_at_points_spread_over_all_its_writes_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    told = disturbed("kill", tmp_path / "home", int(POINTS or 4))
    assert {point["ended"] for point in told[:-1]} == {-signal.SIGKILL}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no `mount` here")
    if mounted.returncode:
        pytest.skip(f"no small disk could be mounted, which takes root: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_full_from_any_write_on_harms_nothing_and_is_reported(small_disk: Path) -> None:
    for point in disturbed("fill", small_disk, int(POINTS or 3)):
        assert point["ended"] == 0 or point["said_why"], point
