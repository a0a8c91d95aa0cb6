from pathlib import Path

import pytest
from small_publication import leaderboard_table, provenance, publish_small

from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.reports.comparison import (
    RELATIVE_METRICS,
    DomainResults,
    comparison_figures,
    comparison_records,
    published_results,
    write_comparison,
)
from recsys_dagster.reports.figures import to_svg
from recsys_dagster.runtime.layout import Layout


def row(model: str, metric: str, k: int | None, value: float) -> MetricRow:
    return MetricRow(model, "v", "holdout", "test", metric, k, value, value - 0.1, value + 0.1, 9)


def results() -> dict[str, DomainResults]:
    anime = [
        row("popularity", "ndcg", 10, 0.2), row("ease", "ndcg", 10, 0.5), row("als", "ndcg", 10, 0.3),
        row("constant", "rmse", None, 2.0), row("als", "rmse", None, 1.5),
    ]  # fmt: skip
    movie = [row("popularity", "ndcg", 10, 0.4), row("als", "ndcg", 10, 0.8), row("als", "rmse", None, 0.9)]
    sizes = {"users": 4, "items": 1234}
    return {"anime": DomainResults(provenance(), sizes, anime), "movie": DomainResults(provenance(), sizes, movie)}


def test_models_are_compared_by_their_metric_relative_to_the_baseline_of_each_domain() -> None:
    records = comparison_records(results())
    # 2.5 in one domain; (1.5 + 2) / 2 on average; the baseline; then the model without lists
    assert [record["model"] for record in records] == ["ease", "als", "popularity", "constant"]
    als = records[1]
    assert als["anime NDCG@10 ÷ popularity"] == pytest.approx(1.5)
    assert als["movie NDCG@10 ÷ popularity"] == pytest.approx(2)
    assert als["anime RMSE ÷ constant"] == pytest.approx(0.75)
    assert als["anime RMSE"] == 1.5
    assert records[0]["movie NDCG@10 ÷ popularity"] is None


def test_a_domain_without_the_baseline_is_not_compared_by_that_metric() -> None:
    assert results()["movie"].relative(RELATIVE_METRICS[1]) == {}
    assert "movie RMSE ÷ constant" not in comparison_records(results())[0]


def test_the_plots_name_both_domains() -> None:
    (_, lists), (_, ratings) = comparison_figures(results())
    assert "anime" in to_svg(lists)
    assert "movie" in to_svg(lists)
    assert [text.get_text() for text in ratings.axes[0].texts] == ["als", "constant"]


def test_only_published_domains_are_compared(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert published_results(layout, ["anime", "movie"]) == {}
    publish_small(layout.published("anime"))
    results_by_domain = published_results(layout, ["anime", "movie"])
    assert list(results_by_domain) == ["anime"]
    assert results_by_domain["anime"].sizes == {"users": 4, "items": 4}
    assert [vars(row) for row in results_by_domain["anime"].metrics] == leaderboard_table().to_pylist()


def test_the_page_links_to_each_domain(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "index.html"
    write_comparison(path, results())
    html = path.read_text(encoding="utf-8")
    assert "Anime and Movie" in html
    assert 'href="anime/index.html"' in html
    assert "1,234" in html
    assert html.count("<svg") == 2
