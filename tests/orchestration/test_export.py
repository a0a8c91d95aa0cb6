"""`serving/export` in a run: a sink that fails leaves what is published, and the run says so."""

import json
from pathlib import Path

from whole_runs import Home


def test_a_sink_that_fails_leaves_the_published_lists_and_ends_with_3(tmp_path: Path) -> None:
    out = tmp_path / "lists"
    targets = f"redis://:hidden-word@127.0.0.1:1/0,{out}"
    home = Home(tmp_path / "home", {"RECSYS_MODELS": "popularity", "RECSYS_EXPORT": targets})
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 3
    assert "serving/export" in done.stderr
    assert "redis://127.0.0.1:1/0" in done.stderr
    assert "hidden-word" not in done.stderr + done.stdout
    assert len(home.lists("movie")) > 0
    manifest = json.loads((out / "movie" / "latest.json").read_text())
    assert manifest["files"]["recommendations.parquet"]["rows"] == len(home.lists("movie"))
