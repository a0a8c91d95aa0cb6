"""One measurement, in a process of its own, so that its peak memory is its own; kept, so that none is taken twice.

A measurement stands as long as the machine, the sources that it ran through and the packages that it loaded are what
they were. `python -m benchmarks.measuring MODULE FUNCTION ARGUMENTS` is the process; its last line is the result.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.storage import sha256, write_json

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("BENCHMARKS_FOLDER", ROOT / "data" / "benchmarks"))
"""Where samples and measurements are kept."""


@dataclass(frozen=True)
class Measurement:
    """What one run of a function usage.

    Attributes:
        what: module and name of the function.
        arguments: what it was given.
        usage: of the part of it that counts.
        facts: what else it told, by name.
        load: processes that were running or waiting for a processor, on average over the last minute.
        at: when, in UTC.
        machine: on which.
        sources: digest of each source file that it ran through, by path.
        packages: version of each package that it loaded.
    """

    what: str
    arguments: dict[str, Any]
    usage: ResourceUsage
    facts: dict[str, Any]
    load: float
    at: str
    machine: str
    sources: dict[str, str]
    packages: dict[str, str]

    def stands(self) -> bool:
        """Tell whether the same would be measured now."""
        return (
            self.machine == machine()
            and self.sources == {name: _digest(ROOT / name) for name in self.sources}
            and all(version(package) == found for package, found in self.packages.items())
        )


Function = Callable[..., tuple[ResourceUsage, dict[str, Any]]]
"""Measures something and returns its usage and further facts."""


def measure(function: Function, **arguments: Any) -> Measurement:
    """Return the measurement of a function of this package with arguments that JSON can carry, taking it if need be."""
    what = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    told = [f"{name}={value}" for name, value in arguments.items()]
    kept = FOLDER / "measurements" / f"{'-'.join([what, *told])}.json"
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        measurement = Measurement(**found | {"usage": ResourceUsage(**found["usage"])})
        if measurement.stands():
            return measurement
    print(what, *told, "… ", end="", flush=True)
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.measuring", function.__module__, function.__name__, json.dumps(arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(process.stdout.splitlines()[-1])
    measurement = Measurement(what, arguments, ResourceUsage(**found.pop("usage")), **found)
    usage = measurement.usage
    print(f"{usage.wall_seconds:.2f} s, {usage.cpu_seconds:.2f} s of processors, {usage.peak_bytes / 2**30:.2f} GiB")
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, asdict(measurement))
    return measurement


def machine() -> str:
    """Return the processor, how many of them, the memory and the system."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def _digest(path: Path) -> str:
    return sha256(path)[:16] if path.exists() else ""


def _sources() -> dict[str, str]:
    """Return the digests of the modules of this repository that are loaded, and of all its SQL."""
    loaded = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    mine = {path for path in loaded if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv")}
    if "recsys_dagster.warehouse" in sys.modules:
        mine |= set((ROOT / "sql").rglob("*.sql"))
    return {str(path.relative_to(ROOT)): _digest(path) for path in sorted(mine)}


def _packages() -> dict[str, str]:
    """Return the versions of the packages that are loaded, this project's own left out."""
    owners = packages_distributions()
    loaded = {name for module in list(sys.modules) if "." not in module for name in owners.get(module, [])}
    return {name: version(name) for name in sorted(loaded) if name != "recsys-dagster"}


def _main(module: str, name: str, arguments: str) -> None:
    before = os.getloadavg()[0]
    usage, facts = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    told = {
        "usage": asdict(usage),
        "facts": facts,
        "load": round(max(before, os.getloadavg()[0]), 1),
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "sources": _sources(),
        "packages": _packages(),
    }
    print(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
