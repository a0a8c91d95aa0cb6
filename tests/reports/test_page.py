import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_of import metric, report

from recsys_dagster.papers.faults import describe_fault
from recsys_dagster.reports.leaderboard_table import metric_table
from recsys_dagster.reports.page import write_report


class Outline(HTMLParser):
    """Collects what the page would load, its tags and its text, and checks that every element is closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "path", "use", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "reports" / "anime" / "index.html"
    write_report(path, report())
    return path


@pytest.fixture
def page(path: Path) -> Outline:
    return Outline(path.read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script(path: Path, page: Outline) -> None:
    html = path.read_text(encoding="utf-8")
    assert all(load.startswith(("#", "data:")) for load in page.loads)
    assert not re.search(r"url\((?!#)|@import|https?:|\son[a-z]+=", html)
    assert page.open == []
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hashed}'" in html


def test_titles_licences_and_genres_are_escaped(path: Path, page: Outline) -> None:
    html = path.read_text(encoding="utf-8")
    assert html.count("<script>") == 1
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; $m^2$ 銀魂" in html
    assert "free & <easy>" in page.text
    assert "Comedy <3 · Sci-Fi" in page.text


def test_the_page_shows_its_provenance(page: Outline) -> None:
    for text in ("sample-anime", "0123456789ab", "20260102T030405-abcdef", "recsys-dagster 0.1.0", "66 interactions"):
        assert text in page.text


def test_the_leaderboard_has_intervals_the_champion_and_what_is_missing(path: Path, page: Outline) -> None:
    board = re.search(r'<table class="board sortable">.*?</table>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert board is not None
    rows = [" ".join(Outline(row).text.split()) for row in re.findall(r"<tr.*?</tr>", board[0], re.DOTALL)]
    assert rows == [
        "Model NDCG@10 Coverage@10 RMSE Fit, s Memory, MB",
        "popularity champion same list 0.1234 0.113–0.133 0.5000 – 12.3 456",
        "embedding_mlp not distinguishable from the champion 0.1200 0.110–0.130 – 0.8765 0.866–0.886 12.3 456",
        "constant – – 1.0432 1.033–1.053 – –",
    ]
    assert "embedding_mlp is not distinguishable from popularity." in page.text
    assert "reranker is not selected" in " ".join(page.text.split())


def test_the_champion_is_the_published_model_also_if_another_is_first_on_the_leaderboard(tmp_path: Path) -> None:
    whole, path = report(), tmp_path / "index.html"
    published = replace(whole.provenance, model="embedding_mlp")
    verdicts = ["embedding_mlp is the champion."]
    write_report(path, replace(whole, provenance=published, champion="embedding_mlp", champion_verdicts=verdicts))
    html = path.read_text(encoding="utf-8")
    (row,) = re.findall(r'<tr class="champion">.*?</tr>', html, re.DOTALL)
    assert "embedding_mlp" in row
    assert row.count("champion</span>") == html.count("champion</span>") == 1
    assert "The published lists come from embedding_mlp , fitted" in " ".join(Outline(html).text.split())
    assert "popularity is the champion" not in html
    dots = html.partition("NDCG@10 of each model")[2].partition("</figure>")[0]
    assert dots.count("fill: var(--accent)") == 1


def test_a_bar_lies_where_the_interval_does(path: Path) -> None:
    # NDCG@10 runs from .11 to .1334 over both rows: 0.1134 … 0.1234 … 0.1334
    assert "--left:14.5%;--width:85.5%;--at:57.3%" in path.read_text(encoding="utf-8")


def test_kept_and_rejected_rows_are_shown_with_the_reasons(page: Outline) -> None:
    assert "ratings.csv 67 66 1 unparsable 1" in " ".join(page.text.split())


def test_how_the_folds_are_cut_is_shown(path: Path) -> None:
    assert "The folds are cut by hash, as no rating has a time." in path.read_text(encoding="utf-8")


def test_example_users_are_shown_with_history_and_every_models_list(path: Path, page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "Light user 1, 1 known title" in text
    assert "Latest 11 titles Title 11 2011 not rated" in text
    assert "67,310" in text
    assert "Gintama — Comedy <3 · Sci-Fi" in text
    assert "Nothing: this user already has every title" in text
    html = path.read_text(encoding="utf-8")
    light = html[html.index('id="user-light"') : html.index('id="user-heavy"')]
    assert re.findall(r'data-list-of="(\w+)"', light) == ["popularity", "embedding_mlp"]
    assert light.count('class="liked"') == 2
    assert "★ 4.2 (3.1 – 5.0)" in light


def test_the_metrics_of_a_model_stand_in_the_order_of_the_registry() -> None:
    rows = [metric("m", "coverage", 10, 0.5), metric("m", "recall", 10, 0.2), metric("m", "ndcg", 5, 0.1)]
    rows += [metric("m", "mae", None, 1.0), metric("m", "rmse", None, 2.0), metric("m", "a_new_one", None, 3.0)]
    ks, ranked, single = metric_table(rows)
    assert ks == [5, 10]
    assert list(ranked) == ["NDCG", "Recall", "Coverage"]
    assert [row.metric for row in single] == ["rmse", "mae", "a_new_one"]


def test_each_model_has_its_parameters_and_metrics(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "popularity What popularity is." in text
    assert "Top five for the example users Light" in text
    assert "popularity recommends the same list to all users." in text
    assert "damping 5.0 patience – seed 42" in text
    assert "RMSE 0.8765 0.8665 – 0.8865" in text


def test_time_and_memory_of_each_step_are_shown_with_the_largest(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "All steps took 1 min 16 s. The longest was clean_tables with 1 min 15 s." in text
    assert "clean_tables used the most memory: 2,346 MB." in text
    assert "clean_tables 75.0 140.0 2,346 250,000 serving/champion 0.5 0.4 1 –" in text


def test_results_of_papers_are_shown_with_ours_and_with_a_trivial_baseline(page: Outline) -> None:
    text = " ".join(page.text.split())
    measured = (
        "two_tower paper 003, MSE on [-1, 1] 0.0646 all 0.0710 constant 0.1200 – here 70 training and 30 test pairs"
    )
    assert measured in text


def test_a_printed_figure_that_was_not_measured_is_shown_and_says_what_to_do(page: Outline) -> None:
    text = " ".join(page.text.split())
    unmeasured = "anime-recommendation-database-2020 not measured here yet: `recsys papers` –"
    assert f"embedding_mlp paper 000, MSE 0.8872 {unmeasured}" in text
    assert f"embedding_mlp paper 000, MAE, training 0.7431 {unmeasured}" in text


def test_each_system_of_a_paper_shows_its_curves_layers_weights_and_confusion_matrix(path: Path, page: Outline) -> None:
    text = " ".join(page.text.split())
    parameters = (
        "embedding 5 1,500 dense 100 1,100 together 2,600 as the paper prints, for its users and titles 1,637,129"
    )
    assert f"Layers and parameters {parameters}" in text
    assert "Weights of the stack beta_network_100, published 0.6250" in text
    html = path.read_text(encoding="utf-8")
    for label in (
        "By epoch of embedding_mlp, paper 000",
        "Predicted against given ratings of dropout_mlp, paper 004",
        "The 240 ratings learnt from of dropout_mlp, paper 004",
    ):
        assert f'aria-label="{label}"' in html


def test_titles_with_the_most_members_are_a_table_with_what_is_known_of_them(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "all kinds Title 12 What happens in 12 Gintama TV Comedy <3, Sci-Fi 8.50 – 1,200" in text
    assert "Movie Title 10 What happens in 10 – Movie Drama, Slice of Life 8.50 – 1,000" in text


def test_faults_are_shown_with_their_effect(path: Path, page: Outline) -> None:
    text = " ".join(page.text.split())
    assert (
        f"leaky tastes {describe_fault('leaky-tastes')} two_tower paper 003, RMSE "
        "1.2000 1.0800 -0.1200 -0.2000 to -0.0500"
    ) in text
    assert (
        f"genre by substring {describe_fault('genre-by-substring')} titles paper 003, titles flagged 410 530 +120"
        in text
    )
    figure = (
        path.read_text(encoding="utf-8").partition("Change of the score by each fault")[2].partition("</figure>")[0]
    )
    assert "-10.0 %" in figure
    assert "substring" not in figure, "a count is not a score"


def test_a_section_without_content_is_omitted(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    models = [replace(card, importances=[]) for card in report().models]
    write_report(path, replace(report(), papers=[], faults=[], models=models))
    html = path.read_text(encoding="utf-8")
    for absent in ("papers", "faults", "importance"):
        assert f'id="{absent}"' not in html
        assert f'href="#{absent}"' not in html


def test_plots_without_data_are_omitted(tmp_path: Path) -> None:
    complete = report()
    path = tmp_path / "index.html"
    absent_data = ("months", "most_members", "kind_members", "most_episodes", "top_members")
    empty: dict[str, list[object]] = {name: [] for name in absent_data}
    profile = replace(complete.profile, kinds=[("Movie", 5)], **empty)
    models = [replace(card, curves={}, confusion=[], slices=[]) for card in complete.models]
    write_report(path, replace(complete, profile=profile, models=models))

    text = Outline(path.read_text(encoding="utf-8")).text
    assert "This dataset has no times" in text
    for absent in ("Interactions over time", "Items by kind", "members", "episodes", "Learning curves"):
        assert absent not in text


def test_a_page_that_cannot_be_rendered_leaves_the_previous_one(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(Exception, match="no attribute"):
        write_report(path, replace(report(), files=[object()]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_lists_that_wait_are_shown_beside_the_live_ones_with_the_commands(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "recsys approve --domain anime publishes the lists of ease" in text
    assert "They are compared with popularity's of 2026-01-02 00:00:00 UTC." in text
    assert "ease beats popularity on validation by NDCG@10 +0.0123." in text
    assert "NDCG@10 0.1200 0.1000 to 0.1400 0.1323 0.1100 to 0.1500" in text
    assert "light 1 50 % 0 %" in text
    assert "<script>Rising</script> 1 → 3" in text
    assert "never.genres: Horror 4 17" in text
    assert "User alice@example.org 1 of 2 titles stay Live Falling Kept Waits Kept A & B new" in text


def test_the_cost_of_diversity_is_a_table_and_a_plot_for_each_axis(page: Outline) -> None:
    text = " ".join(page.text.split())
    assert "over 123 users" in text
    assert "0.5 0 0.1800 -0.0200 -0.0300 to -0.0100 0.4000 0.9000 1.3000 0.3000" in text
    for caption in ("Accuracy and genre diversity", "Accuracy and miscalibration"):
        assert caption in text
