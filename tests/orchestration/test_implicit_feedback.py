"""A shop whose customers buy and rate nothing, from its files to its lists, its page and new customers."""

import json
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest
from whole_runs import Home

from recsys_dagster.api import open_domain
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

DECLARATION = """
domain: shop
ratings: implicit
interactions: {{files: {folder}/purchases.csv, user: customer, item: sku, weight: quantity, time: day}}
items: {{files: {folder}/products.csv, item: sku, title: name, genres: department}}
"""
DEPARTMENTS = ("Books", "Games", "Tools")


def write_shop(folder: Path) -> None:
    """120 customers, most of whom buy in one of three departments of 12 products, some things twice."""
    random = np.random.default_rng(5)
    purchases = ["customer,sku,quantity,day"]
    for n in range(120):
        home = n % 3
        for place in range(int(random.integers(8, 20))):
            department = home if random.random() < 0.9 else int(random.integers(3))
            product = 12 * department + int(random.integers(12) ** 2 // 12)
            day = np.datetime64("2024-01-01") + int(random.integers(300) + place)
            purchases.append(f"customer-{n},SKU-{product:02d},{random.integers(1, 6)},{day}")
    (folder / "purchases.csv").write_text("\n".join(purchases))
    products = [f"SKU-{n:02d},Product {n},{DEPARTMENTS[n // 12]}" for n in range(36)]
    (folder / "products.csv").write_text("\n".join(["sku,name,department", *products]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home after two runs; the second compares its data with the first."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    declared = Layout(folder / "home").datasets()
    declared.mkdir(parents=True)
    (declared / "shop.yaml").write_text(DECLARATION.format(folder=folder))
    home = Home(folder / "home", {"RECSYS_MODELS": "item_knn,implicit_als,genre_similarity,like_logistic"})
    for _ in range(2):
        done = home.recsys("run", "--domain", "shop")
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "run.txt").write_text(done.stdout + done.stderr)
    return home


@pytest.fixture
def settings(shop: Home) -> Settings:
    return Settings(home=shop.path, mirror=None, _env_file=None)


def test_models_that_need_ratings_are_skipped_with_the_reason(shop: Home) -> None:
    said = (shop.path.parent / "run.txt").read_text()
    reason = "skipped: needs ratings, and these data are implicit feedback"
    assert f"user_item_bias {reason}" in said
    assert f"like_logistic {reason}" in said
    board = json.loads(Layout(shop.path).leaderboard("shop").read_text())
    models = {"popularity", "recent_popularity", "item_knn", "implicit_als", "genre_similarity"}
    assert {row["model"] for row in board["rows"]} == models
    assert {metric["metric"] for row in board["rows"] for metric in row["shown"]}.isdisjoint({"rmse", "mae", "auc"})
    assert "NDCG@10, test" in said
    assert "RMSE" not in said


def test_the_folds_are_cut_over_the_interactions(shop: Home) -> None:
    assert "at least 99 % of the interactions have a time" in (shop.path.parent / "run.txt").read_text()
    with duckdb.connect(Layout(shop.path).warehouse("shop"), read_only=True) as connection:
        pairs, timed = connection.execute("SELECT pairs, pairs_with_time FROM features.fold_cuts").fetchall()[0]
        folds = dict(connection.execute("SELECT fold, count(*) FROM features.interactions GROUP BY 1").fetchall())
        weights = connection.execute("SELECT sum(weight) FROM features.interactions").fetchall()[0][0]
    assert pairs == timed == sum(folds.values())
    assert folds["train"] / pairs == pytest.approx(0.8, abs=0.02)
    quantities = [int(line.split(",")[2]) for line in (shop.path.parent / "purchases.csv").read_text().splitlines()[1:]]
    assert weights == sum(quantities), "repeated purchases add up"


def test_every_item_of_a_fold_is_relevant(shop: Home) -> None:
    with duckdb.connect(Layout(shop.path).warehouse("shop"), read_only=True) as connection:
        (users,) = connection.execute(
            "SELECT count(DISTINCT user_idx) FROM features.interactions WHERE fold = 'test'"
        ).fetchall()[0]
        evaluated = connection.execute(
            "SELECT DISTINCT users FROM evaluation.metrics WHERE fold = 'test' AND metric = 'ndcg'"
        ).fetchall()
    assert evaluated == [(users,)]


def test_the_page_has_no_parts_about_ratings(shop: Home) -> None:
    page = Layout(shop.path).report("shop").read_text(encoding="utf-8")
    assert "There are no ratings: every title that a user has in the fold counts as relevant." in page
    for part in ("RMSE", "★", "not rated", "highest-rated", "rated highly", ">Rated<", "each rating", "</b> ratings"):
        assert part not in page, part
    assert "Titles with the most interactions" in page


def test_a_new_customer_names_what_they_like(shop: Home) -> None:
    done = shop.recsys("recommend", "-d", "shop", "--liked", "Product 1", "--liked", "Product 2", "--json")
    answer = json.loads(done.stdout)
    assert [name.split(" #")[0] for name in answer["rated"]] == ["Product 1", "Product 2"]
    assert list(answer["rated"].values()) == [None, None]
    departments = [item["genres"] for item in answer["recommendations"][:5]]
    assert departments == [["Books"]] * 5
    done = shop.recsys("recommend", "-d", "shop", "--taste", "Tools", "--json")
    assert [item["genres"] for item in json.loads(done.stdout)["recommendations"][:5]] == [["Tools"]] * 5


def test_a_rating_is_refused_with_the_cure(shop: Home) -> None:
    done = shop.recsys("recommend", "-d", "shop", "--rated", "Product 1=5")
    assert done.returncode == 2
    assert done.stderr == (
        "recsys: --rated 'Product 1=5': this domain has no ratings; name what the user likes with '--liked'\n"
    )


def test_protocols_split_it_too(shop: Home) -> None:
    out = shop.path.parent / "last-out"
    words = ["-d", "shop", "-p", "leave-last-out", "-m", "implicit_als,als", "--out", str(out)]
    done = shop.recsys("evaluate", *words)
    assert "als skipped: needs ratings" in done.stdout
    written = json.loads((out / "metrics.json").read_text())
    assert written["split"]["test_pairs"] == written["split"]["test_users"] == 120


def test_the_faults_of_the_papers_are_skipped_with_the_reason(settings: Settings) -> None:
    job = build_definitions(settings).resolve_job_def("papers")
    key = dg.AssetKey(["papers", "faults"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(partition_key="shop", instance=instance, asset_selection=[key])
        assert result.success
        (made,) = result.asset_materializations_for_node("papers__faults")
    reason = "the papers predict ratings, and these data are implicit feedback"
    assert made.metadata["skipped"] == dg.MetadataValue.text(reason)


def test_a_notebook_reads_it_in_the_ids_of_the_source(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(shop.path))
    opened = open_domain("shop")
    assert opened.ratings().empty
    assert opened.interactions()["weight"].min() >= 1
    assert opened.leaderboard().index[0] == opened.decisions().iloc[-1]["model"]
    assert opened.verdicts()
    history = opened.history("customer-7")
    assert set(history.index) == {
        line.split(",")[1]
        for line in (shop.path.parent / "purchases.csv").read_text().splitlines()
        if line.startswith("customer-7,")
    }
    listed = opened.recommend(["customer-7", "customer-8"], model="implicit_als", n=3)
    assert listed.index.tolist() == [(f"customer-{user}", rank) for user in (7, 8) for rank in (1, 2, 3)]
    assert set(listed.xs("customer-7")["item_id"]).isdisjoint(history.index)
    similar = opened.similar("#SKU-01", model="item_knn", n=3)
    assert "SKU-01" not in set(similar["item_id"])
    assert similar["item_id"].str.startswith("SKU-").all()
    evaluated, board = opened.evaluate("implicit_als"), opened.leaderboard()
    assert evaluated.loc[("ndcg", 10), "value"] == pytest.approx(board.loc["implicit_als", "ndcg_10"])
