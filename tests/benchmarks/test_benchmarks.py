"""The benchmarks take a measurement once, store it, and put it on the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.regressions import comparable, find_regressions, read_committed, write_committed
from benchmarks.result import at_least, at_most, without_target

ROOT = Path(__file__).resolve().parents[2]
TINY_BENCHMARK = """
import sys
from pathlib import Path
from benchmarks import measurement, recommend, result, results_page, sizes
published = [measurement.measure(recommend.published, users=60, items=600) for _ in range(2)][-1]
size = sizes.SIZES["small"]
results_page.write(Path(sys.argv[1]), size, {recommend.TITLE: [result.peak("published", 2, published)]})
"""


def test_a_measurement_is_taken_once_and_shown_with_its_target(tmp_path):
    page, folder = tmp_path / "RESULTS.md", tmp_path / "stored"
    process = subprocess.run(
        [sys.executable, "-c", TINY_BENCHMARK, str(page)],
        cwd=ROOT,
        env=os.environ | {"BENCHMARKS_FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.count("recommend.published users=60 items=600 … ") == 1
    assert "GiB | ≤ 2 GiB |" in page.read_text(encoding="utf-8")
    stored = json.loads(next((folder / "measurements").iterdir()).read_text(encoding="utf-8"))
    assert stored["facts"]["rows"] == 60 * 100
    assert "recsys_dagster/serving/publishing.py" in stored["sources"]
    assert stored["packages"]["duckdb"]


def test_a_ratio_or_a_memory_that_became_worse_by_more_than_the_tolerance_is_a_regression(tmp_path):
    ratios = tmp_path / "ratios.json"
    before = {
        "Lists": [at_least("speed", 2.0, 1, "× our time"), at_most("time", 1.5, 2, "× plain")],
        "Memory": [
            at_most("peak", 1.0, 4, "GiB"),
            at_most("difference", 1e-9, 1e-6, ""),
            without_target("rate", "5/s"),
        ],
    }
    write_committed(ratios, "small", comparable(before))
    committed = read_committed(ratios, "small")
    assert committed == {"Lists: speed": 2.0, "Lists: time": 1.5, "Memory: peak": 1.0}
    assert read_committed(ratios, "full") == {}
    assert find_regressions(comparable(before), committed) == []
    within = {"Lists": [at_least("speed", 1.41, 1, "× our time"), at_most("time", 1.94, 2, "× plain")]}
    assert find_regressions(comparable(within), committed) == []
    better = {"Lists": [at_least("speed", 9.0, 1, "× our time"), at_most("time", 0.1, 2, "× plain")]}
    assert find_regressions(comparable(better), committed) == []
    worse = {
        "Lists": [at_least("speed", 1.39, 1, "× our time"), at_most("time", 1.96, 2, "× plain")],
        "Memory": [at_most("peak", 1.5, 4, "GiB"), at_most("new", 9.0, 4, "GiB")],
    }
    assert find_regressions(comparable(worse), committed) == [
        "Lists: speed: 1.39 × our time, was 2 (-31%)",
        "Lists: time: 1.96 × plain, was 1.5 (+31%)",
        "Memory: peak: 1.5 GiB, was 1 (+50%)",
    ]


def test_accepted_ratios_of_another_size_and_area_stay(tmp_path):
    ratios = tmp_path / "ratios.json"
    write_committed(ratios, "small", comparable({"A": [at_least("a", 1.23456, 1, "×")]}))
    write_committed(ratios, "full", comparable({"A": [at_least("a", 3.0, 1, "×")]}))
    write_committed(ratios, "small", comparable({"B": [at_least("b", 2.0, 1, "×")]}))
    assert read_committed(ratios, "small") == {"A: a": 1.23, "B: b": 2.0}
    assert read_committed(ratios, "full") == {"A: a": 3.0}
