"""What a check finds on data written by hand, and how its result reads."""

from pathlib import Path

from handmade import MOVIES, RATINGS_HEADER, build

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.quality.checks import Check, all_checks
from recsys_dagster.quality.findings import Finding
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun


def check_named(name: str) -> Check:
    return next(check for check in all_checks() if check.name == name)


def result_of(check: str, home: Path, ratings: list[str], **settings: float) -> tuple[bool, str]:
    """Whether the check passes on these lines of ratings.csv, and its message."""
    files = {"movies.csv": MOVIES, "ratings.csv": RATINGS_HEADER + "\n".join(ratings) + "\n"}
    build(home, "movielens", files, features=True)
    findings = check_named(check).find(
        DomainRun(Settings(home=home, _env_file=None, **settings), BUILT_IN_DOMAINS["movie"])
    )
    return all(finding.passed for finding in findings), check_named(check).message("movie", findings)


GOOD = [f"{user},1,4,{1_000_000_000 + user}" for user in range(1, 20)]


def test_rejected_rows_are_told_with_their_share_their_reasons_and_an_example(tmp_path: Path) -> None:
    passed, message = result_of("few_rows_are_rejected", tmp_path, [*GOOD, "x,1,4,1", "y,1,4,1", "1,99,4,1"])
    assert not passed
    assert message.startswith(
        "movie: ratings.csv: 13.6 % of 22 rows were rejected (at most 5 %): unknown item 1, unparsable 2, "
        "such as line 21: `x,1,4,1`. Cure: "
    )
    assert message.endswith("set RECSYS_MAX_REJECTED higher.")


def test_tolerated_rejects_pass_and_are_shown_all_the_same(tmp_path: Path) -> None:
    passed, message = result_of("few_rows_are_rejected", tmp_path, [*GOOD, "x,1,4,1"], max_rejected=0.05)
    assert passed
    assert (
        "ratings.csv: 5 % of 20 rows were rejected (at most 5 %): unparsable 1, such as line 21: `x,1,4,1`" in message
    )
    assert "Cure" not in message


def test_an_empty_fold_is_red_and_says_how_the_folds_were_cut(tmp_path: Path) -> None:
    passed, message = result_of("no_fold_is_empty", tmp_path, ["1,1,4,1000000000"])
    assert not passed
    assert "interactions in the fold validation: expected at least 1, found 0 (the folds are cut by hash: so" in message
    assert result_of("no_fold_is_empty", tmp_path, GOOD)[0]


def test_folds_by_hash_say_why_there_is_no_order_in_time(tmp_path: Path) -> None:
    passed, message = result_of("folds_follow_each_other_in_time", tmp_path, [f"{user},1,4,0" for user in range(1, 40)])
    assert passed
    assert "cut by hash: fewer than 99 % of the ratings have a time" in message


def test_only_failed_findings_are_in_the_message_of_a_red_check() -> None:
    check = Check("any", ("clean", "ratings"), lambda _: [], "All is well. Cure: do this.")
    good, bad = Finding("ratings", "1", "1", passed=True), Finding("users", "2", "0", passed=False)
    assert check.message("anime", [good, bad]) == "anime: users: expected 2, found 0. Cure: do this."
    assert check.message("anime", [good]) == "ratings: expected 1, found 1"


def test_lost_times_are_a_warning_with_their_share_and_an_example(tmp_path: Path) -> None:
    passed, message = result_of("few_times_are_lost", tmp_path, [*GOOD, "1,2,4,64982703", "2,2,4,yesterday", "3,2,4,0"])
    assert not passed
    assert not check_named("few_times_are_lost").blocking
    assert message.startswith("movie: ratings.csv: 9.52 % of 21 times were lost (at most 5 %), such as `")
    assert result_of("few_times_are_lost", tmp_path, GOOD)[0]
