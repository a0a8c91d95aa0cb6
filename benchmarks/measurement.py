"""Measure one function in its own process, so that the peak memory is its own, and store the measurement.

A stored measurement is valid as long as the machine, the sources that it ran through and the packages that it loaded
are unchanged. `python -m benchmarks.measurement MODULE FUNCTION ARGUMENTS` is the process; its last line of output is
the measurement.
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
"""Folder of the samples and the measurements."""


@dataclass(frozen=True)
class Measurement:
    """The resources that one call of a function used.

    Attributes:
        name: module and name of the function.
        arguments: its arguments.
        usage: time and memory of the measured part of the call.
        facts: other values that the function returned, by name.
        load: average number of processes that were running or waiting for a processor over the last minute.
        at: time of the measurement, in UTC.
        machine: description of the machine.
        sources: digest of each source file that was loaded, by path.
        packages: version of each package that was loaded, by name.
    """

    name: str
    arguments: dict[str, Any]
    usage: ResourceUsage
    facts: dict[str, Any]
    load: float
    at: str
    machine: str
    sources: dict[str, str]
    packages: dict[str, str]

    def is_valid(self) -> bool:
        """Return whether machine, sources and packages are the same as when it was taken."""
        return (
            self.machine == machine()
            and self.sources == {path: _digest(ROOT / path) for path in self.sources}
            and all(version(package) == measured for package, measured in self.packages.items())
        )


Function = Callable[..., tuple[ResourceUsage, dict[str, Any]]]
"""A function that measures something and returns the usage and other facts."""


def measure(function: Function, **arguments: Any) -> Measurement:
    """Return the measurement of a function of this package, from the store if it is still valid.

    Args:
        function: a module-level function.
        **arguments: its arguments, which must be serialisable as JSON.
    """
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    described = [f"{argument}={value}" for argument, value in arguments.items()]
    path = FOLDER / "measurements" / f"{'-'.join([name, *described])}.json"
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        measurement = Measurement(**stored | {"usage": ResourceUsage(**stored["usage"])})
        if measurement.is_valid():
            return measurement
    print(name, *described, "… ", end="", flush=True)
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.measurement", function.__module__, function.__name__, json.dumps(arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    values = json.loads(process.stdout.splitlines()[-1])
    measurement = Measurement(name, arguments, ResourceUsage(**values.pop("usage")), **values)
    usage = measurement.usage
    print(f"{usage.wall_seconds:.2f} s, CPU {usage.cpu_seconds:.2f} s, {usage.peak_bytes / 2**30:.2f} GiB")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(measurement))
    return measurement


def machine() -> str:
    """Return the processor, the number of cores, the memory and the operating system."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def _digest(path: Path) -> str:
    return sha256(path)[:16] if path.exists() else ""


def _sources() -> dict[str, str]:
    """Return the digests of the loaded modules of this repository, and of all SQL files if any may have been read."""
    loaded = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    own = {path for path in loaded if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv")}
    if "recsys_dagster.warehouse" in sys.modules:
        own |= set((ROOT / "sql").rglob("*.sql"))
    return {str(path.relative_to(ROOT)): _digest(path) for path in sorted(own)}


def _packages() -> dict[str, str]:
    """Return the versions of the loaded packages, except this project's own."""
    distributions = packages_distributions()
    loaded = {name for module in list(sys.modules) if "." not in module for name in distributions.get(module, [])}
    return {name: version(name) for name in sorted(loaded) if name != "recsys-dagster"}


def _main(module: str, name: str, arguments: str) -> None:
    load_before = os.getloadavg()[0]
    usage, facts = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    values = {
        "usage": asdict(usage),
        "facts": facts,
        "load": round(max(load_before, os.getloadavg()[0]), 1),
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "sources": _sources(),
        "packages": _packages(),
    }
    print(f"\n{json.dumps(values)}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
