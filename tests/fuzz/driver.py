"""Run seeded cases, each in a process of its own, and tell which break a promise.

    python -m fuzz --cases 500            # all surfaces in turn
    python -m fuzz --seed 1 --only 17     # one case again; its folder is kept

A case passes if the command succeeds or fails with one clear line, within the time and memory allowed, without writing
outside RECSYS_HOME, without showing a secret, and with the published file as it was or another whole one.
"""

import argparse
import contextlib
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.mutations import pack
from fuzz.surfaces import DATASET, SECRET, SURFACES, Attack

SECONDS = 60
"""Processor time that a case may take."""
LONGEST_WAIT = 600
"""Wall time after which a case hangs, on a machine that does much else."""
BYTES = 2**30
LONGEST_LINE = 1500
OUTSIDE = {"home", "mirror", ".env", "out", "err", "backup.tar", "backup.tar.gz"}
"""What a case's folder holds besides nothing at all."""
HOLDS_ITS_OWN = ("settings", "archive", "csv", "http")
"""Surfaces on which the published file stays the same to the byte."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        number, surface: which.
        command: what met the mutation.
        code: exit code; negative for the signal that ended it.
        seconds, bytes: processor time and peak memory.
        line: the last line that it wrote to standard error.
        faults: the promises that it broke; empty for a case that passed.
    """

    number: int
    surface: str
    command: str
    code: int
    seconds: float
    bytes: int
    line: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line about the case."""
        verdict = "; ".join(self.faults) or "passed"
        return f"{self.number} {self.surface} `{self.command}` exit {self.code}, {self.seconds:.1f} s: {verdict}"


def prepare(folder: Path, runs: int) -> tuple[Path, dict[str, bytes]]:
    """Make a RECSYS_HOME after so many runs on a small archive; return it and the archive's members."""
    from recsys_dagster.ingest.samples.write import write_sample

    write_sample("movielens", folder / "files", n_users=60, n_items=50, n_ratings=1500, seed=1)
    members = {path.name: path.read_bytes() for path in sorted((folder / "files").iterdir())}
    (folder / "mirror").mkdir()
    (folder / "mirror" / f"{DATASET}.zip").write_bytes(pack(members))
    home = folder / "home"
    environment = clean_environment(folder / "user") | {
        "RECSYS_HOME": str(home),
        "RECSYS_MIRROR": str(folder / "mirror"),
        "RECSYS_DATASET_MOVIE": DATASET,
    }
    command = [sys.executable, "-c", "from recsys_dagster.cli.main import main; main()", "run"]
    command += ["--domain", "movie", "--models", "popularity"]
    for _ in range(runs):
        done = subprocess.run(
            [*command, "--models", "popularity"],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
    shutil.rmtree(home / "dagster", ignore_errors=True)
    return home, members


def clean_environment(user: Path) -> dict[str, str]:
    """Return the environment without settings, without a way to the network, and with a home folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_", "KAGGLE"))}
    proxies = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "all")}
    return kept | proxies | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HOME": str(user)}


def run_case(number: int, seed: int, base: Path, members: dict[str, bytes], folder: Path) -> Outcome:
    """Run one case in `folder`, which must not exist."""
    generator = random.Random(f"{seed}:{number}")
    surface = list(SURFACES)[number % len(SURFACES)]
    home = folder / "home"
    shutil.copytree(base, home)
    attack = SURFACES[surface](home, members, generator)
    published = home / "published" / "movie.duckdb"
    before = _digest(published)
    with attack.around() as settings:
        environment = clean_environment(base.parent / "user") | {
            "RECSYS_HOME": str(home), "RECSYS_DATASET_MOVIE": DATASET, "RECSYS_DOWNLOAD_SECONDS": "3"
        } | attack.settings | settings  # fmt: skip
        code, seconds, peak = _in_a_process(lambda: _perform(attack.command), environment, folder)
    output, errors = ((folder / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
    faults = [*_faults_of_ending(code, seconds, peak, output, errors), *_faults_outside(folder)]
    if _digest(published) != before:
        if surface in HOLDS_ITS_OWN and attack.command[0] != "run":
            faults.append("the published file changed")
        elif not _opens(published):
            faults.append("what is published now cannot be opened")
    line = errors.rstrip().rpartition("\n")[2]
    return Outcome(number, surface, " ".join(attack.command), code, seconds, peak, line, tuple(faults))


def _faults_of_ending(code: int, seconds: float, peak: int, output: str, errors: str) -> Iterator[str]:
    if code not in (0, 1, 2, 3):
        yield f"ended with {code}"
    if "Traceback (most recent call last)" in errors + output:
        yield "a traceback: " + errors.rstrip().rpartition("\n")[2][:300]
    elif code in (1, 2):
        lines = [line for line in errors.splitlines() if line.startswith("recsys: ")]
        if len(lines) != 1 or errors.rstrip("\n").rpartition("\n")[2] != lines[0]:
            yield f"{len(lines)} lines say why, and the last is: {errors.rstrip()[-300:]!r}"
        elif len(lines[0]) > LONGEST_LINE:
            yield f"a line of {len(lines[0])} characters"
    if any(ord(sign) < 32 and sign not in "\n\t\r" for sign in errors):
        yield "control characters on the terminal"
    if SECRET in errors + output:
        yield "a secret is shown"
    if seconds > SECONDS:
        yield f"took {seconds:.0f} s"
    if peak > BYTES:
        yield f"took {peak / 2**20:,.0f} MiB"


def _faults_outside(folder: Path) -> Iterator[str]:
    foreign = {path.name for path in folder.iterdir()} - OUTSIDE
    if foreign:
        yield f"wrote outside RECSYS_HOME: {sorted(foreign)}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _opens(path: Path) -> bool:
    from recsys_dagster.errors import RecsysError
    from recsys_dagster.serving.lookup import PublishedFile

    try:
        with PublishedFile(path) as lists:
            return bool(lists.provenance().model)
    except RecsysError:
        return False


def _in_a_process(work: Callable[[], int], environment: dict[str, str], folder: Path) -> tuple[int, float, int]:
    """Do the work in a fork of this process; return its exit code, processor time and the bytes of memory it took."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            inherited = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
            os.write(writing, str(inherited).encode())
            os.close(writing)
            resource.setrlimit(resource.RLIMIT_DATA, (6 * BYTES, 6 * BYTES))
            signal.alarm(LONGEST_WAIT)
            os.chdir(folder)
            for name, descriptor in (("out", 1), ("err", 2)):
                file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, descriptor)
            sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8", closefd=False) for fd in (1, 2))
            os.environ.clear()
            os.environ.update(environment)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    _, status, usage = os.wait4(child, 0)
    shared = int(os.read(reading, 32))
    os.close(reading)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 - shared


def _perform(command: Sequence[str]) -> int:
    """Do what the command says, in the child."""
    from recsys_dagster.cli import main
    from recsys_dagster.errors import RecsysError

    own = {"ingest": _ingest, "definitions": _definitions, "alarm": _alarm}
    if command[0] not in own:
        return main._run(list(command))
    try:
        own[command[0]]()
    except RecsysError as error:
        sys.stderr.write(f"recsys: {error}\n")
        return 1
    return 0


def _ingest() -> None:
    """Fetch, clean, build the features and make the checks of the data, as a run does."""
    from recsys_dagster.domains import BUILT_IN_DOMAINS
    from recsys_dagster.errors import RecsysError
    from recsys_dagster.ingest import download
    from recsys_dagster.ingest.fetching import fetch
    from recsys_dagster.quality.checks import all_checks
    from recsys_dagster.settings import read_settings
    from recsys_dagster.warehouse.build import build_clean, build_features
    from recsys_dagster.warehouse.domain_run import DomainRun

    download.FIRST_WAIT = 0.002
    with DomainRun(read_settings(), BUILT_IN_DOMAINS["movie"]) as run:
        fetch(run.dataset, run.settings)
        build_clean(run.warehouse, run.dataset, run.manifest)
        findings = [f for check in all_checks() if check.asset[0] == "clean" for f in check.find(run)]
        failed = [str(finding) for finding in findings if not finding.passed]
        if failed:
            raise RecsysError("; ".join(failed))
        build_features(run.warehouse, run.settings.seed)


def _definitions() -> None:
    from recsys_dagster.orchestration.build import build_definitions
    from recsys_dagster.settings import read_settings

    build_definitions(read_settings())


def _alarm() -> None:
    import logging

    from recsys_dagster.orchestration.alarms import raise_alarm
    from recsys_dagster.settings import read_settings

    raise_alarm(read_settings(), "something failed", logging.getLogger("fuzz"))


def run_cases(numbers: Sequence[int], seed: int, report: Callable[[Outcome], None], runs: int = 2) -> list[Outcome]:
    """Run the cases after so many runs and return those that broke a promise; their folders are kept.

    Each case is a fork of this process, which must not have run a parallel kernel: numba would end the fork's first one
    with SIGTERM.
    """
    import recsys_dagster.cli.main
    import recsys_dagster.orchestration.build
    import recsys_dagster.quality.checks
    import recsys_dagster.serving.cold_start  # noqa: F401 - the children find it all imported

    folder = Path(tempfile.mkdtemp(prefix="recsys-fuzz-"))
    failed = []
    base, members = prepare(folder, runs)
    for number in numbers:
        case = folder / str(number)
        case.mkdir()
        outcome = run_case(number, seed, base, members, case)
        report(outcome)
        if outcome.faults:
            failed.append(outcome)
        else:
            shutil.rmtree(case)
    if failed:
        sys.stderr.write(f"the folders of the cases that failed are in {folder}\n")
    else:
        shutil.rmtree(folder)
    return failed


def main() -> int:
    """Run from the command line; return 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, action="append", help="a case to run again; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="a line for each case, also for those that passed")
    options = parser.parse_args()
    counts: dict[str, int] = {}
    codes: dict[int, int] = {}

    def report(outcome: Outcome) -> None:
        counts[outcome.surface] = counts.get(outcome.surface, 0) + 1
        codes[outcome.code] = codes.get(outcome.code, 0) + 1
        if outcome.faults or options.verbose or options.only:
            sys.stdout.write(f"{outcome}\n    {outcome.line[:300]}\n")
            sys.stdout.flush()

    failed = run_cases(options.only or range(options.cases), options.seed, report)
    sys.stdout.write(f"{sum(counts.values())} cases {counts}, exit codes {codes}: {len(failed)} failed\n")
    return 1 if failed else 0


__all__ = ["Attack", "Outcome", "run_cases"]
