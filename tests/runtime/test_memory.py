"""Available memory is that of the machine or of the tightest control group, with reclaimable cache."""

import logging
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime import memory
from recsys_dagster.runtime.memory import available_bytes, require_memory
from recsys_dagster.runtime.units import GIB

UNLIMITED_1 = 9223372036854771712
"""What version 1 shows for a group without a limit."""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with 8 GiB available."""
    write(tmp_path / "proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n")
    return tmp_path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")


def version_2(machine: Path, path: str, mounted: str = "/") -> Path:
    """Put the process into a group of version 2; return the folder of the mount."""
    write(machine / "proc/self/cgroup", f"0::{path}")
    write(
        machine / "proc/self/mountinfo",
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"30 22 0:26 {mounted} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
    )
    return machine / "sys/fs/cgroup"


def version_1(machine: Path, path: str, mounted: str = "/") -> Path:
    """Put the process into a group of version 1; return the folder of the mount."""
    write(machine / "proc/self/cgroup", f"5:cpu,cpuacct:/other\n4:memory:{path}\n1:name=systemd:/other")
    write(
        machine / "proc/self/mountinfo",
        f"31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"32 30 0:28 {mounted} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
    )
    return machine / "sys/fs/cgroup/memory"


def group(folder: Path, limit: object, used: int, **counters: int) -> None:
    """Write a group of version 2."""
    write(folder / "memory.max", limit)
    write(folder / "memory.current", used)
    write(folder / "memory.stat", "\n".join(f"{name} {value}" for name, value in counters.items()))


def group_1(folder: Path, limit: object, used: int, **counters: int) -> None:
    """Write a group of version 1."""
    write(folder / "memory.limit_in_bytes", limit)
    write(folder / "memory.usage_in_bytes", used)
    write(folder / "memory.stat", "\n".join(f"{name} {value}" for name, value in counters.items()))


def test_the_machine_counts_where_no_group_has_a_limit(machine: Path) -> None:
    assert available_bytes(machine) == 8 * GIB
    group(version_2(machine, "/"), "max", GIB)
    assert available_bytes(machine) == 8 * GIB
    group_1(version_1(machine, "/"), UNLIMITED_1, GIB)
    assert available_bytes(machine) == 8 * GIB


def test_the_limit_of_a_container_counts(machine: Path) -> None:
    group(version_2(machine, "/"), 2 * GIB, GIB)
    assert available_bytes(machine) == GIB
    group_1(version_1(machine, "/"), 3 * GIB, GIB)
    assert available_bytes(machine) == 2 * GIB


def test_cache_that_the_kernel_can_reclaim_is_available(machine: Path) -> None:
    counters = {"anon": 1, "file": 7, "shmem": GIB // 4, "inactive_file": GIB // 2, "active_file": GIB // 8}
    group(version_2(machine, "/"), 2 * GIB, GIB * 3 // 2, **counters, slab_reclaimable=GIB // 16)
    assert available_bytes(machine) == GIB // 2 + GIB // 2 + GIB // 8 + GIB // 16
    counters = {"cache": 7, "inactive_file": 1, "total_inactive_file": GIB // 2, "total_active_file": GIB // 8}
    group_1(version_1(machine, "/"), 2 * GIB, GIB * 3 // 2, **counters)
    assert available_bytes(machine) == GIB // 2 + GIB // 2 + GIB // 8


def test_the_tightest_of_nested_groups_counts(machine: Path) -> None:
    folder = version_2(machine, "/pods/pod/container")
    group(folder / "pods/pod/container", 4 * GIB, GIB)
    group(folder / "pods/pod", 2 * GIB, GIB * 3 // 2)
    group(folder / "pods", "max", GIB)
    assert available_bytes(machine) == GIB // 2
    folder = version_1(machine, "/pods/pod/container")
    group_1(folder / "pods/pod/container", UNLIMITED_1, GIB)
    group_1(folder / "pods/pod", 3 * GIB, GIB)
    assert available_bytes(machine) == 2 * GIB


def test_a_mount_that_begins_at_the_group_of_the_container_is_found(machine: Path) -> None:
    group(version_2(machine, "/docker/abc/inner", mounted="/docker/abc") / "inner", 2 * GIB, GIB)
    assert available_bytes(machine) == GIB
    group_1(version_1(machine, "/docker/abc", mounted="/docker/abc"), 4 * GIB, GIB)
    assert available_bytes(machine) == 3 * GIB


def test_a_path_as_seen_from_outside_is_taken_for_the_mount(machine: Path) -> None:
    group(version_2(machine, "/../../elsewhere", mounted="/docker/abc"), 2 * GIB, GIB)
    assert available_bytes(machine) == GIB


def test_a_group_above_its_limit_leaves_nothing(machine: Path) -> None:
    group(version_2(machine, "/"), GIB, 2 * GIB)
    assert available_bytes(machine) == 0


def test_a_system_that_reports_nothing_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_bytes(tmp_path) is None
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    require_memory(2**60, "a model", "buy more")


def test_this_machine_reports_something_plausible() -> None:
    available = available_bytes()
    assert available is not None
    assert 2**20 < available < 2**50


def test_what_does_not_fit_is_refused_with_its_size_and_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: GIB)
    with pytest.raises(RecsysError, match=r"a model takes 3\.00 GiB and 1\.00 GiB are free; buy more"):
        require_memory(3 * GIB, "a model", "buy more")


def test_what_fits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        require_memory(2**20, "a model", "buy more")
    assert "a model takes 0.00 GiB" in caplog.text
