"""The tools around the repository (pre-commit, GitHub, the changelog) call what is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return [hook for repository in config["repos"] for hook in repository["hooks"]]


def test_hooks_are_the_projects_own_so_that_nothing_is_downloaded() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks()} == {"system"}


@pytest.mark.parametrize("hook", [hook for hook in hooks() if hook["id"] in ("ruff", "ruff-format", "sqlfluff")])
def test_a_hook_passes_a_good_file_and_refuses_a_bad_one(hook: dict[str, Any], tmp_path: Path) -> None:
    program, *arguments = shlex.split(hook["entry"])
    suffix, good, bad = ("sql", "SELECT 1 AS one\n", "select 1 as one\n")
    if hook["id"] != "sqlfluff":
        suffix, good, bad = ("py", '"""One."""\n\nONE = 1\n', '"""One."""\nimport os\nONE=1\n')
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for content, passes in ((good, True), (bad, False)):
        (tmp_path / f"file.{suffix}").write_text(content, encoding="utf-8")
        command = [str(BIN / Path(program).name), *arguments, str(tmp_path / f"file.{suffix}")]
        assert (subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0) is passes


def test_every_hook_is_a_step_of_make_test() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ntest:")[2].partition("\n\n")[0]
    for hook in hooks():
        assert Path(shlex.split(hook["entry"])[0]).name in recipe


def test_the_workflow_calls_what_gates_a_merge_on_every_python_that_is_supported() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yaml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    lowest, highest = re.findall(r"3\.(\d+)", project()["requires-python"])
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(lowest), int(highest))]


def test_the_changelog_has_unreleased_changes_on_top_and_the_packages_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert project()["version"] in versions


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]
