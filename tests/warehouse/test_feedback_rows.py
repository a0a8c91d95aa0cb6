"""Events that the service was told of, as one more file of the next run."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from declared_data import declare, warehouse_of, write

from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.feedback import take_feedback, with_feedback
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.feedback import FeedbackSpool
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, reconcile

SHOP = {
    "ratings": {"scale": [1, 5]},
    "interactions": {"files": "orders.csv", "user": "user", "item": "item", "rating": "stars", "time": "at"},
    "items": {"files": "products.csv", "item": "sku", "title": "name"},
}
ORDERS = "user,item,stars,at\nann,tea,4,2024-01-01\nann,cup,2,2024-01-02\nbob,tea,5,2024-01-03\n"
PRODUCTS = "sku,name\ntea,Tea\ncup,Cup\npot,Pot\n"


def tell(home: Path, user: Any, item: Any, day: int, event: str = "click", **more: Any) -> None:
    record = {
        "user_id": user,
        "item_id": item,
        "event": event,
        "rating": None,
        "time": f"2024-02-{day:02}T00:00:00+00:00",
    }
    FeedbackSpool(Layout(home)).add_event("shop", record | {"list_id": None, "dataset": "shop"} | more)


def built(home: Path, **settings: Any) -> tuple[Manifest, list[tuple[Any, ...]]]:
    """Build the clean tables with the feedback; return the manifest and (user, item, rating, day) of each row."""
    chosen = Settings(home=home, _env_file=None, **{"feedback": True} | settings)
    dataset = get_dataset("shop", chosen)
    fetched = fetch(dataset, chosen)
    take_feedback(dataset, chosen)
    manifest = with_feedback(fetched, chosen)
    build_clean(warehouse_of(home), dataset, manifest)
    return manifest, rows(
        home,
        """
        SELECT coalesce(users.source_id, user_id::VARCHAR), coalesce(items.source_id, item_id::VARCHAR), rating,
            strftime("at", '%m-%d')
        FROM clean.interactions
        JOIN clean.items AS items USING (item_id)
        LEFT JOIN clean.users AS users USING (user_id)
        LEFT JOIN clean.ratings USING (user_id, item_id)
        ORDER BY ALL
        """,
    )


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(warehouse_of(home).path, read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path, {"orders.csv": ORDERS, "products.csv": PRODUCTS})
    declare(tmp_path, SHOP)
    return tmp_path


def test_events_become_interactions_and_ratings_of_the_ids_of_the_source(shop: Path) -> None:
    tell(shop, "ann", "pot", 1, "purchase")
    tell(shop, "new@example.org", "tea", 2, "rate", rating=3)
    _, interactions = built(shop)
    assert ("ann", "pot", None, "02-01") in interactions
    assert ("new@example.org", "tea", 3, "02-02") in interactions
    assert len(interactions) == 5


def test_a_click_keeps_the_rating_and_the_latest_rating_counts(shop: Path) -> None:
    tell(shop, "ann", "tea", 5)
    tell(shop, "ann", "cup", 6, "rate", rating=5)
    tell(shop, "ann", "cup", 7, "rate", rating=1)
    tell(shop, "bob", "tea", 1, "rate", rating=2, time="2023-01-01T00:00:00+00:00")
    _, interactions = built(shop)
    assert interactions == [
        ("ann", "cup", 1, "02-07"),
        ("ann", "tea", 4, "02-05"),
        ("bob", "tea", 5, "01-03"),
    ]


def test_what_cannot_be_used_is_rejected_with_the_reason_and_the_line(shop: Path) -> None:
    tell(shop, "ann", "pot", 1)
    tell(shop, "ann", "gone", 2)
    tell(shop, "ann", "pot", 3)
    tell(shop, "bob", "pot", 4, "rate", rating=9)
    built(shop)
    rejected = rows(shop, "SELECT source_file, line, reason, raw FROM clean.rejected")
    assert rejected == [
        ("feedback.jsonl", 1, "duplicate", "ann,pot,click"),
        ("feedback.jsonl", 2, "unknown item", "ann,gone,click"),
        ("feedback.jsonl", 4, "out of scale", "bob,pot,rating,9.0"),
    ]
    account = next(one for one in reconcile(warehouse_of(shop)) if one.file == "feedback.jsonl")
    assert (account.rows_in, account.kept) == (4, 1)


def test_only_whole_events_of_the_dataset_that_mean_an_interaction_are_taken(shop: Path) -> None:
    tell(shop, "ann", "pot", 1, "seen")
    tell(shop, "ann", "pot", 1, dataset="another")
    tell(shop, "ann", "pot", 1, time="2999-01-01T00:00:00+00:00")
    assert len(built(shop)[1]) == 3
    tell(shop, "bob", "pot", 1)
    for path in Layout(shop).feedback("shop").iterdir():
        with path.open("ab") as file:
            file.write(b'{"user_id": "ann", "item_id": "po')
    _, interactions = built(shop)
    assert ("bob", "pot", None, "02-01") in interactions
    assert len(interactions) == 4
    assert len(built(shop, feedback_events=("purchase",))[1]) == 3


def test_feedback_is_part_of_the_data_version_and_off_unless_asked_for(shop: Path) -> None:
    plain, _ = built(shop, feedback=False)
    assert built(shop)[0].data_version == plain.data_version
    tell(shop, "ann", "pot", 1)
    first, second = built(shop)[0].data_version, built(shop)[0].data_version
    assert first == second != plain.data_version
    tell(shop, "bob", "pot", 1)
    assert built(shop)[0].data_version != first
    manifest, interactions = built(shop, feedback=False)
    assert (manifest.data_version, len(interactions)) == (plain.data_version, 3)


def test_where_weights_add_up_each_event_is_one_more(tmp_path: Path) -> None:
    write(tmp_path, {"orders.csv": "user,item,n\n1,10,2\n2,10,1\n", "products.csv": "sku,name\n10,Tea\n20,Cup\n"})
    interactions = {"files": "orders.csv", "user": "user", "item": "item", "weight": "n"}
    declare(tmp_path, SHOP | {"ratings": "implicit", "interactions": interactions})
    tell(tmp_path, 1, 10, 1)
    tell(tmp_path, 1, 10, 2)
    tell(tmp_path, 3, 20, 3)
    built(tmp_path)
    weights = rows(tmp_path, "SELECT user_id, item_id, weight FROM clean.interactions ORDER BY ALL")
    assert weights == [(1, 10, 4), (2, 10, 1), (3, 20, 1)]


def test_feedback_of_a_pseudonym_is_laid_to_its_number_and_shows_nobody(tmp_path: Path) -> None:
    write(tmp_path, {"orders.csv": ORDERS, "products.csv": PRODUCTS})
    declare(tmp_path, SHOP | {"pseudonymise": True})
    built(tmp_path)
    ((ann,),) = rows(tmp_path, "SELECT user_id FROM clean.ratings WHERE rating = 2")
    tell(tmp_path, ann, "pot", 1)
    tell(tmp_path, ann, "gone", 1)
    _, interactions = built(tmp_path)
    assert (str(ann), "pot", None, "02-01") in interactions
    assert rows(tmp_path, "SELECT raw FROM clean.rejected") == [("gone,click",)]
