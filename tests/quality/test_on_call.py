"""The page for the person on call."""

from pathlib import Path

import pytest

from recsys_dagster.quality.checks import Check, all_checks

PAGE = Path(__file__).parents[2] / "docs" / "on-call.md"


@pytest.mark.parametrize("check", {check.name: check for check in all_checks()}.values(), ids=lambda check: check.name)
def test_the_page_says_of_each_check_what_it_means_and_what_to_do(check: Check) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = " ".join(page.partition(f"### {check.name}\n")[2].partition("\n### ")[0].split())
    means, _, cure = check.description.partition("Cure: ")
    assert means.strip() in section
    assert cure.strip() in section
