"""`recsys papers` checks names before it opens or fits anything, and prints the papers' figures beside ours."""

from pathlib import Path

import pytest

from recsys_dagster.cli.console import console
from recsys_dagster.cli.main import main
from recsys_dagster.cli.papers import faults_table, figures_table, notes_of
from recsys_dagster.papers.figures import paper_figures
from recsys_dagster.papers.records import FaultRow, PaperRow

MEASURED = PaperRow(
    "000", "embedding_mlp", "sample-movie", "mse", "ml-20m", 0.7417, 10.0, 1.09, 0.96, 1.08, "constant", 12_883, 3_117
)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--paper", "005"], 2, "recsys: unknown paper '005'; known: 000, 001, 002, 003, 004\n"),
        (["-d", "anime", "-p", "001"], 2, "recsys: paper 001 is not about anime; about anime: 000, 002, 003, 004\n"),
        (["-d", "anim"], 2, "(did you mean anime?); known: anime, movie, book; `recsys import` adds one\n"),
        (["--domain", "movie"], 1, "nothing is published for movie yet; run `recsys run --domain movie` first\n"),
        (["--paper", "001"], 1, "nothing is published that these papers are about; run `recsys run` first\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_at_once(
    published_home: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["papers", *arguments])
    assert exit_.value.code == code
    assert capsys.readouterr().err.endswith(message)
    assert {path.name for path in published_home.iterdir()} == {"published"}, "nothing was opened"


def test_printed_and_measured_figures_stand_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(figures_table(paper_figures("movie", [MEASURED])))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "000 embedding_mlp MSE 0.7417 10.0000 1.0900 0.9600 1.0800 12,883 3,117" in lines
    assert "000 embedding_mlp MSE, training 0.7306 not measured here yet: `recsys papers`" in lines
    assert notes_of(paper_figures("movie", [MEASURED]))[0].startswith("paper 000, embedding_mlp: 12,883 training and")


def test_the_effect_of_a_fault_has_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(faults_table([FaultRow("leaky-tastes", "003", "here", "two_tower", "rmse", 1.2, 1.1, -0.2, -0.05)]))
    last = capsys.readouterr().out.splitlines()[-1]
    assert " ".join(last.split()) == ("leaky-tastes 003 two_tower rmse 1.2000 1.1000 -0.1000 (-0.2000 to -0.0500)")
