"""Every command that the pages show exists, with the options that they show."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from recsys_dagster.cli.main import app
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.models.registry import model_names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:\.venv/bin/)?recsys [a-z][^`]*)`")


def shown_commands() -> list[str]:
    """The lines of shell blocks, and what stands in backticks and begins with recsys."""
    commands = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.findall(text):
            commands += block.replace("\\\n", " ").splitlines()
        commands += INLINE.findall(text)
    return sorted({" ".join(command.split()) for command in commands if "recsys " in command or "make " in command})


def recsys_commands() -> list[str]:
    return [
        command for command in shown_commands() if re.match(r"(RECSYS_\w+=\S+ )*(\.venv/bin/)?recsys [a-z]", command)
    ]


@pytest.mark.parametrize("command", recsys_commands())
def test_a_shown_command_is_understood(command: str) -> None:
    words = shlex.split(command, comments=True)
    words = words[next(i for i, word in enumerate(words) if word.endswith("recsys")) + 1 :]
    group = typer.main.get_command(app)
    context = group.make_context("recsys", list(words))
    name, subcommand, rest = group.resolve_command(context, list(words))
    values = subcommand.make_context(name, rest, parent=context).params if rest else {}
    named = values.get("models") or values.get("model") or ""
    names = named.split(",") if isinstance(named, str) else named
    assert set(names) - {"", "all"} <= set(model_names())


def test_there_are_commands_to_look_at() -> None:
    assert len(recsys_commands()) > 20


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`| && )make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 5
    assert named <= targets


def test_every_dataset_that_a_shown_command_names_is_in_the_catalogue() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"RECSYS_DATASET_(?:MOVIE|ANIME)=([\w-]+)", text))
    assert len(named) > 3
    assert named - {"movietweetings"} <= set(CATALOGUE)  # that one CONTRIBUTING.md adds
