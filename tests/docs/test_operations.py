"""What the page about operations promises is proved by tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS = 5


def rows() -> list[list[str]]:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## When something goes wrong")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def known_tests() -> set[str]:
    """The names of all test functions."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_fault_is_proved_by_a_test_that_exists() -> None:
    proofs = {row[0]: re.findall(r"`(test_\w+)`", row[-1]) for row in rows()}
    assert len(proofs) > 15
    assert [fault for fault, tests in proofs.items() if not tests] == []
    named = {test for tests in proofs.values() for test in tests}
    assert named - known_tests() == set()


def test_every_fault_has_a_name_and_every_row_all_columns() -> None:
    for row in rows():
        assert len(row) == COLUMNS
        assert row[0]
        assert row[2], "what the operator sees"


def test_every_variable_of_the_compose_file_is_explained() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{([A-Z_]+)", compose))
    assert len(named) > 5
    assert [name for name in sorted(named) if name not in page] == []
