"""What the papers print stands beside ours, or beside what to do to get ours."""

import pytest

from recsys_dagster.papers.as_published import PAPERS, als_solvers
from recsys_dagster.papers.figures import NOT_MEASURED, paper_figures, papers_of
from recsys_dagster.papers.printed import ANIME_2020, ML_20M, PRINTED
from recsys_dagster.papers.records import PaperRow
from recsys_dagster.runtime.spark_process import spark_problem

MEASURED = PaperRow(
    "000", "embedding_mlp", "sample-movie", "mse", ML_20M, 0.7417, 10.0, 1.09, 0.96, 1.08, "constant", 12_883, 3_117
)


def test_every_printed_figure_of_a_domain_is_there_before_anything_was_measured() -> None:
    for domain in ("anime", "movie"):
        figures = paper_figures(domain, [])
        printed = {(one.paper, one.system, one.metric): one.printed for one in figures if one.printed is not None}
        assert printed == {
            (paper, system, metric): value
            for (paper, about, system, metric), (_, value) in PRINTED.items()
            if about == domain
        }
        assert all(one.ours is None for one in figures)
        assert {one.paper for one in figures} == set(papers_of(domain))
    assert set(papers_of("anime")) | set(papers_of("movie")) == set(PAPERS)


def test_a_domain_that_no_paper_is_about_has_no_figures() -> None:
    assert paper_figures("shop", []) == []


def test_ours_takes_the_place_of_the_gap_and_says_on_what_it_was_measured() -> None:
    figures = paper_figures("movie", [MEASURED])
    (ours,) = (one for one in figures if (one.system, one.metric) == ("embedding_mlp", "mse"))
    assert ours.ours == MEASURED
    assert ours.notes[0] == "12,883 training and 3,117 test pairs of sample-movie"
    assert ours.notes[1] == "the paper's data are ml-20m"


def test_a_training_that_is_too_short_says_so_in_its_row() -> None:
    (short,) = (one for one in paper_figures("movie", [MEASURED]) if one.ours)
    # 12,883 // 10,000 is one step an epoch, for 30 epochs; 16,000,210 // 10,000 are 1,600.
    assert short.notes[2].startswith("30 steps of 5e-05 where the paper's data give 48,000: too few to learn")
    whole = PaperRow(
        "000", "embedding_mlp", ANIME_2020, "mse", ANIME_2020, 0.8872, 0.9, 1.4, 1.2, 1.8, "constant", 40_000_000, 10
    )
    (enough,) = (one for one in paper_figures("anime", [whole]) if one.ours)
    assert enough.notes == (f"40,000,000 training and 10 test pairs of {ANIME_2020}",)


def test_a_system_of_order_says_that_the_data_have_no_times_instead_of_asking_for_a_measurement() -> None:
    figures = paper_figures("anime", [], without_times="shop")
    missing = {one.system: one.missing for one in figures}
    assert missing["bilstm"] == "cannot be measured here: shop has no times"
    assert missing["als"] == (f"{NOT_MEASURED}; {spark_problem()}" if spark_problem() else NOT_MEASURED)
    others = {one.missing for one in paper_figures("anime", []) if one.system != "als"}
    assert others == {NOT_MEASURED}


def test_the_als_of_paper_002_is_run_on_spark_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    if spark_problem() is None:
        assert als_solvers() == {"als": "spark", "als (our solver)": "als_wr"}
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert als_solvers() == {"als (our solver)": "als_wr"}
    (als,) = (one for one in paper_figures("anime", []) if one.system == "als")
    assert als.missing.startswith(f"{NOT_MEASURED}; Spark needs Java")
