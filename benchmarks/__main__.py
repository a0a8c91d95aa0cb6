"""`python -m benchmarks`: take what measurements are missing, print the figures, write RESULTS.md and the curves."""

import argparse
import shutil
from importlib import import_module
from pathlib import Path

from benchmarks import results, scaling
from benchmarks.measuring import FOLDER
from benchmarks.sizes import SIZES

QUESTIONS = ("generate", "ingest", "features", "training", "recommend", "evaluation", "scaling", "pipeline")
_HERE = Path(__file__).parent


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--again", action="store_true", help="measure again what was measured before")
    parser.add_argument("--folder", type=Path, default=_HERE, help="where the page and the curves go")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; none: all")
    asked = parser.parse_args()
    if unknown := set(asked.questions) - set(QUESTIONS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(QUESTIONS)}")
    if asked.again:
        shutil.rmtree(FOLDER / "measurements", ignore_errors=True)
    size = SIZES[asked.size]
    answers = {}
    for name in asked.questions or QUESTIONS:
        question = import_module(f"benchmarks.{name}")
        if figures := question.figures(size):
            answers[question.TITLE] = figures
            for figure in figures:
                verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
                print(f"{question.TITLE}: {figure.asked}: {figure.found} {figure.target} {verdict}", flush=True)
    if not asked.questions:
        scaling.plot(size, asked.folder / results.CURVES)
        results.write(asked.folder / "RESULTS.md", size, answers)


if __name__ == "__main__":
    main()
