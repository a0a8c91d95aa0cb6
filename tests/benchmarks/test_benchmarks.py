import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = """
import sys
from pathlib import Path
from benchmarks import figures, measuring, recommend, results, sizes
published = [measuring.measure(recommend.published, users=60, titles=600) for _ in range(2)][-1]
size = sizes.SIZES["small"]
results.write(Path(sys.argv[1]), size, {recommend.TITLE: [figures.peak("published", 2, published)]})
"""


def test_a_measurement_is_taken_once_and_stands_beside_its_target(tmp_path):
    page, folder = tmp_path / "RESULTS.md", tmp_path / "kept"
    process = subprocess.run(
        [sys.executable, "-c", TINY, str(page)],
        cwd=ROOT,
        env=os.environ | {"BENCHMARKS_FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.count("recommend.published users=60 titles=600 … ") == 1
    assert "GiB | ≤ 2 GiB |" in page.read_text(encoding="utf-8")
    kept = json.loads(next((folder / "measurements").iterdir()).read_text(encoding="utf-8"))
    assert kept["facts"]["rows"] == 60 * 100
    assert "recsys_dagster/serving/publishing.py" in kept["sources"]
    assert kept["packages"]["duckdb"]
