"""`python -m benchmarks`: take the missing measurements, print the results, and write RESULTS.md and the curves.

It exits with 1 if a ratio or the memory of a step is worse than committed (ratios.json) by more than the tolerance.
"""

import argparse
import shutil
import sys
from importlib import import_module
from pathlib import Path

from benchmarks import regressions, results_page, scaling
from benchmarks.measurement import FOLDER
from benchmarks.sizes import SIZES

AREAS = (
    "generate",
    "ingest",
    "declared",
    "features",
    "training",
    "recommend",
    "serving",
    "serving_load",
    "evaluation",
    "scaling",
    "spark",
    "pipeline",
)
_HERE = Path(__file__).parent


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--again", action="store_true", help="discard the stored measurements and take them again")
    parser.add_argument("--folder", type=Path, default=_HERE, help="folder for RESULTS.md and the curves")
    parser.add_argument(
        "--accept", action="store_true", help="write the ratios to ratios.json instead of comparing them with it"
    )
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"any of {', '.join(AREAS)}; default: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.areas) - set(AREAS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(AREAS)}")
    if arguments.again:
        shutil.rmtree(FOLDER / "measurements", ignore_errors=True)
    size = SIZES[arguments.size]
    results_by_title = {}
    for name in arguments.areas or AREAS:
        area = import_module(f"benchmarks.{name}")
        if results := area.results(size):
            results_by_title[area.TITLE] = results
            for result in results:
                verdict = {True: "met", False: "MISSED", None: ""}[result.met]
                print(f"{area.TITLE}: {result.description}: {result.value} {result.target} {verdict}", flush=True)
    if not arguments.areas:
        scaling.plot(size, arguments.folder / results_page.CURVES)
        results_page.write(arguments.folder / "RESULTS.md", size, results_by_title)
    ratios, comparable = arguments.folder / "ratios.json", regressions.comparable(results_by_title)
    if arguments.accept:
        regressions.write_committed(ratios, size.name, comparable)
    elif worse := regressions.find_regressions(comparable, regressions.read_committed(ratios, size.name)):
        sys.exit("\n".join(["Worse than committed, by more than the tolerance:", *worse]))


if __name__ == "__main__":
    main()
