"""Serve a list, report a click on it, run again: the user has the item, and is not recommended it any more."""

from pathlib import Path

import httpx
from declared_data import declare, write
from running_service import running
from whole_runs import Home

from recsys_dagster.settings import Settings

N_USERS, N_ITEMS = 40, 12


def write_shop(home: Path) -> None:
    """Users u1 to u40 have rated five neighbouring ones of twelve items."""
    rated = ((user, (user + step) % N_ITEMS, 3 + step % 3) for user in range(N_USERS) for step in range(5))
    orders = [f"u{user},i{item},{stars},2024-01-{1 + user % 28:02}" for user, item, stars in rated]
    products = [f"i{item},Item {item}" for item in range(N_ITEMS)]
    write(
        home,
        {"orders.csv": "\n".join(["user,item,stars,at", *orders]), "products.csv": "\n".join(["sku,name", *products])},
    )
    declare(
        home,
        {
            "ratings": {"scale": [1, 5]},
            "interactions": {"files": "orders.csv", "user": "user", "item": "item", "rating": "stars", "time": "at"},
            "items": {"files": "products.csv", "item": "sku", "title": "name"},
        },
    )


def test_what_was_clicked_is_in_the_history_after_the_next_run_and_no_longer_recommended(
    home: Home, tmp_path: Path
) -> None:
    write_shop(home.path)
    home.environment |= {"RECSYS_FEEDBACK": "on", "RECSYS_MODELS": "item_knn"}
    first = home.recsys("run", "--domain", "shop")
    assert first.returncode == 0, first.stderr
    with running(Settings(home=home.path, feedback=True, _env_file=None), tmp_path / "cache") as url:
        listed = httpx.get(f"{url}/v1/shop/users/u7/recommendations").json()
        clicked, rated = (item["item_id"] for item in listed["recommendations"][:2])
        for event in (
            {"user_id": "u7", "item_id": clicked, "event": "click", "list_id": listed["list_id"]},
            {"user_id": "u7", "item_id": rated, "event": "rate", "rating": 2},
            {"user_id": "somebody new", "item_id": clicked, "event": "purchase"},
        ):
            assert httpx.post(f"{url}/v1/shop/feedback", json=event).status_code == 201

    again = home.recsys("run", "--domain", "shop")
    assert again.returncode == 0, again.stderr
    with running(Settings(home=home.path, _env_file=None), tmp_path / "cache") as url:
        latest = httpx.get(f"{url}/v1/shop/users/u7/history").json()["history"][:2]
        assert {item["item_id"]: item["rating"] for item in latest} == {clicked: None, rated: 2}
        listed = httpx.get(f"{url}/v1/shop/users/u7/recommendations", params={"n": 100}).json()["recommendations"]
        assert len(listed) == N_ITEMS - 7
        assert not {clicked, rated} & {item["item_id"] for item in listed}
        new = httpx.get(f"{url}/v1/shop/users/somebody new/recommendations").json()
        assert "fallback" not in new
        assert clicked not in [item["item_id"] for item in new["recommendations"]]
