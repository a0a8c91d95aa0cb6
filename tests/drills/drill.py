"""Performs the changes that CONTRIBUTING.md describes, on a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("recsys_dagster", "sql", "tests", "pyproject.toml")
BLOCK = re.compile(r'^( *)```(\w+) title="([^"]+)"\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


@dataclass
class Repository:
    """A copy of the repository, and programs that run in it."""

    root: Path

    def perform(self, section: str) -> list[str]:
        """Make every edit in that section of CONTRIBUTING.md; return the paths that were edited."""
        page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        edits = [(language, path, textwrap.dedent(block)) for _, language, path, block in BLOCK.findall(text)]
        assert edits, f"CONTRIBUTING.md has no edits under {section!r}"
        for language, path, block in edits:
            target = self.root / path
            if language == "diff":
                target.write_text(apply_edit(target.read_text(encoding="utf-8"), block), encoding="utf-8")
            else:
                assert not target.exists(), f"{path} is a new file in CONTRIBUTING.md, but exists"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block, encoding="utf-8")
        return [path for _, path, _ in edits]

    def run(self, *command: str, **settings: str) -> str:
        """Run a command of the copy's Python; return what it printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
        environment = clean | {"PYTHONPATH": str(self.root), "RECSYS_HOME": str(self.root / "home"), **settings}
        done = subprocess.run(
            [sys.executable, *command], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def recsys(self, *words: str, **settings: str) -> str:
        """Run the copy's `recsys` command; return what it printed."""
        return self.run("-c", "from recsys_dagster.cli.main import main; main()", *words, **settings)


def copy_repository(folder: Path) -> Repository:
    """Copy what the drills need, with the caches of compiled code, which go by time and size of their source."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    return Repository(folder)


def apply_edit(text: str, edit: str) -> str:
    """Apply an edit whose lines begin with a space (must be there, once), `+` (added) or `-` (removed)."""
    lines = edit.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert before.strip(), "an edit needs a line that says where it goes"
    assert text.count(before) == 1, f"there {text.count(before)} times, not once:\n{before}"
    return text.replace(before, after)
