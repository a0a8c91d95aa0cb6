"""The benchmarks take a measurement once, store it, and put it on the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
