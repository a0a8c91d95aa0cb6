import logging
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime import memory
from recsys_dagster.runtime.units import GIB


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GiB available, and a control group of 2 GiB of which half is used."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n")
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def test_the_tighter_of_machine_and_container_counts(machine: Path) -> None:
    assert memory.available_bytes() == GIB


def test_a_container_without_limit_leaves_the_machines(machine: Path) -> None:
    (machine / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 8 * GIB


def test_a_system_that_does_not_tell_refuses_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMINFO", machine / "none")
    monkeypatch.setattr(memory, "CGROUP", machine / "none")
    assert memory.available_bytes() is None
    memory.require_memory(2**60, "a model", "buy more")


def test_what_does_not_fit_is_refused_with_its_size_and_the_cure(machine: Path) -> None:
    with pytest.raises(RecsysError, match=r"a model takes 3\.00 GiB and 1\.00 GiB are free; buy more"):
        memory.require_memory(3 * GIB, "a model", "buy more")


def test_what_fits_is_stated(machine: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        memory.require_memory(GIB // 2, "a model", "buy more")
    assert "a model takes 0.50 GiB" in caplog.text
