"""Protocols on clean tables written by hand: which pairs are in which part, and that the parts are always the same."""

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from declared_data import built, declare, write
from handmade import MOVIES, RATINGS_HEADER, build, rows

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.protocols import (
    Protocol,
    RandomPairs,
    StrongGeneralisation,
    get_protocol,
    protocol_names,
)
from recsys_dagster.warehouse.arrays import load_holdout
from recsys_dagster.warehouse.build import build_features
from recsys_dagster.warehouse.database import Warehouse

MOVIE = BUILT_IN_DOMAINS["movie"]
TITLES = "movieId,title,genres\n" + "".join(f"{n},Title {n} ({1990 + n}),Drama\n" for n in range(1, 25))
START = 1_000_000_000
"""Seconds since 1970: a time that a rating can have."""
LINES = [
    f"{user},{item},{(user * item) % 4 + 2},{START + user * 100 + item}"
    for user in range(1, 41)
    for item in range(1, 25)
    if (user + item) % 4
]


def lines(*ratings: tuple[int, int, float, int]) -> list[str]:
    """Of (user, item, rating, seconds since `START`)."""
    return [f"{user},{item},{rating},{START + seconds}" for user, item, rating, seconds in ratings]


def warehouse_of(folder: Path, ratings: list[str], titles: str = TITLES) -> Warehouse:
    files = {"movies.csv": titles, "ratings.csv": RATINGS_HEADER + "\n".join(ratings) + "\n"}
    return build(folder, "movielens", files, features=True)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return warehouse_of(tmp_path_factory.mktemp("protocols"), LINES)


def split(protocol: Protocol | str, warehouse: Warehouse, folder: Path) -> dict[str, set[tuple[int, int]]]:
    """The (user, item) pairs of each part."""
    chosen = get_protocol(protocol, seed=7) if isinstance(protocol, str) else protocol
    files = chosen.export(warehouse, MOVIE, folder)
    paths = {"train": files.train, "test": files.test} | ({"fold_in": files.fold_in} if files.fold_in else {})
    found = {}
    for part, path in paths.items():
        table = pq.read_table(path)
        found[part] = set(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))
        assert len(found[part]) == len(table), "a pair twice"
    return found


def clean_pairs(warehouse: Warehouse, condition: str = "TRUE") -> set[tuple[int, int]]:
    return set(rows(warehouse, f"SELECT user_id, item_id FROM clean.ratings WHERE {condition}"))


@pytest.mark.parametrize("name", protocol_names())
def test_the_files_are_the_same_to_the_byte_whatever_the_order_of_the_rows(
    name: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    shuffled = random.Random(3).sample(LINES, len(LINES))
    other = warehouse_of(tmp_path / "other", shuffled)
    for folder, source in (("first", warehouse), ("second", other)):
        get_protocol(name, seed=7).export(source, MOVIE, tmp_path / folder)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert {"train.parquet", "test.parquet", "items.parquet"} <= set(first)


@pytest.mark.parametrize("name", ["random", "strong-generalisation"])
def test_another_seed_is_another_split(name: str, warehouse: Warehouse, tmp_path: Path) -> None:
    parts = [split(get_protocol(name, seed=seed), warehouse, tmp_path)["test"] for seed in (1, 2)]
    assert parts[0] != parts[1]


@pytest.mark.parametrize("name", ["holdout", "random", "global-time"])
def test_each_pair_is_in_the_training_or_the_test_part(name: str, warehouse: Warehouse, tmp_path: Path) -> None:
    parts = split(name, warehouse, tmp_path)
    assert parts["train"] | parts["test"] == clean_pairs(warehouse)
    assert not parts["train"] & parts["test"]


def test_the_test_part_of_the_holdout_is_the_test_fold_of_the_lineage(warehouse: Warehouse, tmp_path: Path) -> None:
    test = rows(
        warehouse,
        "SELECT user_id, item_id FROM features.interactions JOIN features.users USING (user_idx)"
        " JOIN features.items USING (item_idx) WHERE fold = 'test'",
    )
    assert split("holdout", warehouse, tmp_path)["test"] == set(test)


def test_a_random_split_holds_out_about_its_share_and_a_larger_share_adds_to_it(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    shares = {share: get_protocol("random", seed=7, test_share=share) for share in (0.1, 0.3)}
    small, large = (split(protocol, warehouse, tmp_path)["test"] for protocol in shares.values())
    pairs = len(clean_pairs(warehouse))
    assert small < large, "a pair that is held out stays held out when the share grows"
    assert 0.05 < len(small) / pairs < 0.15
    assert 0.22 < len(large) / pairs < 0.38


def test_a_split_by_time_keeps_pairs_with_one_time_together(tmp_path: Path) -> None:
    timed = lines((1, 1, 4, 10), (1, 2, 4, 20), (2, 1, 4, 30), (2, 2, 4, 40), (2, 3, 4, 40), (3, 1, 4, 50))
    parts = split(get_protocol("global-time", seed=7, test_share=0.3), warehouse_of(tmp_path, timed, MOVIES), tmp_path)
    # Of six pairs the fifth is the first beyond 70 %; the fourth has the same time.
    assert parts["test"] == {(2, 2), (2, 3), (3, 1)}


def test_what_a_user_did_before_the_moment_is_folded_in_and_the_rest_is_the_test(tmp_path: Path) -> None:
    early = [(user, item, 4, item) for user in (1, 2) for item in (1, 2, 3)]
    late = [
        *[(1, 4, 4, 100), (1, 5, 2, 110), (1, 6, 4, 120), (1, 7, 5, 130)],  # the moment is the third of four
        *[(3, 1, 4, 100), (3, 2, 5, 105)],  # new after the cut: one is known of them
        (4, 1, 4, 110),  # nothing is known
        *[(2, 8, 4, 120), (2, 9, 4, 120)],  # both at once: neither helps to predict the other
    ]
    protocol = get_protocol("time-fold-in", seed=7, test_share=0.6)
    parts = split(protocol, warehouse_of(tmp_path, lines(*early, *late)), tmp_path)
    assert parts["train"] == {(user, item) for user, item, *_ in early}
    assert parts["test"] == {(1, 6), (1, 7), (3, 2), (4, 1), (2, 8), (2, 9)}
    assert parts["fold_in"] == {(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (3, 1), (2, 1), (2, 2), (2, 3)}


def test_the_folds_of_the_lineage_are_divided_at_the_moments_of_the_protocol(tmp_path: Path) -> None:
    late = [(user, item, 4, 10_000 + 7 * ((user * item) % 5)) for user in (1, 2, 3, 45) for item in range(10, 24)]
    timed = [line for line in LINES if int(line.split(",")[1]) < 10] + lines(*late)
    warehouse = warehouse_of(tmp_path, timed)
    holdout = load_holdout(warehouse)
    # The last place before the cut is 1 − share; the rules of the two cuts differ only where many pairs share a time.
    share = len(holdout.test) / len(clean_pairs(warehouse)) - 1e-9
    parts = split(get_protocol("time-fold-in", seed=7, test_share=share), warehouse, tmp_path)

    def ids(pairs: Interactions) -> set[tuple[int, int]]:
        users, items = holdout.user_ids[pairs.users], holdout.item_ids[pairs.items]
        return set(zip(users.tolist(), items.tolist(), strict=True))

    folded_in = holdout.folded_in("test", holdout.test)
    assert folded_in is not None
    assert ids(folded_in.later) == parts["test"]
    assert ids(folded_in.history) == parts["fold_in"]
    earlier = holdout.folded_in("validation", holdout.data.validation)
    assert earlier is not None
    assert not ids(earlier.history) & ids(holdout.test)
    assert ids(earlier.history) | ids(earlier.later) >= ids(holdout.data.validation)


def test_folds_that_are_cut_by_hash_have_no_moments(tmp_path: Path) -> None:
    at_once = [f"{user},{item},4,{START}" for user in range(1, 21) for item in range(1, 11)]
    holdout = load_holdout(warehouse_of(tmp_path, at_once))
    assert holdout.folded_in("test", holdout.test) is None


@pytest.mark.parametrize(
    ("part", "message"),
    [("fold_in", r"leaks: 1 pairs that are folded in are no earlier"), ("train", r"leaks: 1 pairs of the training")],
)
def test_a_later_pair_among_what_is_known_is_caught(
    part: str, message: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    protocol = get_protocol("time-fold-in", seed=7)
    files = protocol.export(warehouse, MOVIE, tmp_path)
    protocol.load(files, MOVIE)
    test, known = pq.read_table(files.test), pq.read_table(tmp_path / f"{part}.parquet")
    place = int(pc.index(test["at"], pc.max(test["at"])).as_py())
    others = [row for row in range(len(test)) if row != place]
    pq.write_table(test.take(others), files.test)
    pq.write_table(pa.concat_tables([known, test.slice(place, 1)]), tmp_path / f"{part}.parquet")
    with pytest.raises(RecsysError, match=message):
        protocol.load(files, MOVIE)


def test_new_users_are_in_no_training_pair_and_a_fifth_of_their_likes_is_the_test(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    protocol = Protocol("strong", StrongGeneralisation(seed=7, users_at_least=10, likes_at_least=2))
    parts = split(protocol, warehouse, tmp_path)
    users = {part: {user for user, _ in pairs} for part, pairs in parts.items()}
    assert users["test"] == users["fold_in"]
    assert not users["test"] & users["train"]
    assert 0 < len(users["test"]) <= 10
    liked = clean_pairs(warehouse, "rating >= 4")
    known = {item for _, item in parts["train"]}
    assert parts["train"] <= liked
    for user in users["test"]:
        folded_in, test = ({pair for pair in parts[part] if pair[0] == user} for part in ("fold_in", "test"))
        assert not folded_in & test
        assert folded_in | test == {(u, item) for u, item in liked if u == user and item in known}
        assert len(test) == max(1, round(0.2 * len(folded_in | test)))


def test_never_more_than_half_of_the_users_are_held_out(warehouse: Warehouse, tmp_path: Path) -> None:
    protocol = Protocol("strong", StrongGeneralisation(seed=7, users_at_least=300, likes_at_least=1))
    parts = split(protocol, warehouse, tmp_path)
    assert len({user for user, _ in parts["train"]}) >= len({user for user, _ in parts["test"]}) > 5


def test_the_last_like_is_the_test_and_nothing_after_it_is_in_the_training_part(tmp_path: Path) -> None:
    ratings = lines(
        (1, 1, 5, 10), (1, 2, 2, 20), (1, 3, 4, 30),  # the last is liked
        (2, 1, 4, 30), (2, 2, 5, 20), (2, 3, 1, 40),  # a dislike after the last like is dropped
        (3, 1, 4, 10), (3, 2, 1, 20),                 # nothing before the only like
        (4, 1, 2, 10), (4, 2, 1, 20),                 # no like at all
    )  # fmt: skip
    parts = split("leave-last-out", warehouse_of(tmp_path, ratings, MOVIES), tmp_path)
    assert parts["test"] == {(1, 3), (2, 1)}
    assert parts["train"] == {(1, 1), (1, 2), (2, 2), (3, 1), (4, 1), (4, 2)}


def test_a_protocol_keeps_only_what_meets_its_conditions(warehouse: Warehouse, tmp_path: Path) -> None:
    protocol = Protocol("own", RandomPairs(seed=7), items="year > 1995", pairs="rating >= 3 AND user_draw < 0.5")
    parts = split(protocol, warehouse, tmp_path)
    kept = parts["train"] | parts["test"]
    users = {user for user, _ in kept}
    assert 10 < len(users) < 30
    allowed = clean_pairs(warehouse, "rating >= 3 AND item_id > 5")
    assert kept == {(user, item) for user, item in allowed if user in users}
    assert len(pq.read_table(tmp_path / "items.parquet")) == 19


def test_exported_files_are_loaded_as_a_split_on_the_scale_of_the_protocol(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    protocol = replace(get_protocol("random", seed=7), scale=(0, 6), like_threshold=3)
    loaded = protocol.load(protocol.export(warehouse, MOVIE, tmp_path), MOVIE)
    assert (loaded.data.scale, loaded.data.like_threshold) == ((0, 6), 3)
    assert len(loaded.data.train) + len(loaded.test) == len(LINES)
    assert loaded.data.item_features.genre_names == ("Drama",)


def test_exported_files_have_the_ids_of_the_source(tmp_path: Path) -> None:
    pairs = [(f"user{user}@example.org", f"SKU-{item}") for user in range(9) for item in range(8)]
    write(tmp_path, {"r.csv": "u,i,r\n" + "".join(f"{user},{item},4\n" for user, item in pairs)})
    source = {"files": "r.csv", "user": "u", "item": "i", "rating": "r"}
    declare(tmp_path, {"ratings": {"scale": [0.5, 5]}, "interactions": source})
    warehouse = built(tmp_path)
    build_features(warehouse, seed=7)
    protocol = get_protocol("random", seed=7)
    files = protocol.export(warehouse, MOVIE, tmp_path / "split")
    exported = [pq.read_table(path).select(["user_id", "item_id"]).to_pylist() for path in (files.train, files.test)]
    assert sorted((row["user_id"], row["item_id"]) for part in exported for row in part) == sorted(pairs)
    assert pq.read_table(files.items)["item_id"].to_pylist() == [f"SKU-{item}" for item in range(8)]
    assert set(protocol.load(files, MOVIE).item_ids) == {item for _, item in pairs}


def test_a_split_by_time_without_times_is_refused(tmp_path: Path) -> None:
    files = {
        "anime.csv": "anime_id,name,genre,type,episodes,rating,members\n1,A,Drama,TV,1,7,10\n2,B,Drama,TV,1,7,10\n",
        "rating.csv": "user_id,anime_id,rating\n1,1,8\n1,2,9\n2,1,8\n",
    }
    untimed = build(tmp_path, "cooper-union", files, features=True)
    reason = "none of the 3 interactions has a time; choose a dataset with times"
    for name, part in (("leave-last-out", "train"), ("global-time", "test")):
        with pytest.raises(RecsysError, match=f"{name} leaves no interaction for the {part} part: {reason}"):
            get_protocol(name, seed=7).export(untimed, BUILT_IN_DOMAINS["anime"], tmp_path)


def test_a_split_that_leaves_nothing_says_whether_the_conditions_or_the_times_are_to_blame(tmp_path: Path) -> None:
    ratings = "userId,movieId,rating,timestamp\n1,1,4,1000000000\n1,2,3,1000000000\n2,1,5,1000000000\n"
    files = {"movies.csv": "movieId,title,genres\n1,A (1999),Drama\n2,B (1999),Drama\n", "ratings.csv": ratings}
    at_once = build(tmp_path, "movielens", files, features=True)
    with pytest.raises(RecsysError, match="all 3 interactions have the same time"):
        get_protocol("global-time", seed=7).export(at_once, MOVIE, tmp_path)
    with pytest.raises(RecsysError, match="no interaction meets its conditions"):
        Protocol("own", RandomPairs(seed=7), pairs="rating > 9").export(at_once, MOVIE, tmp_path)


@pytest.mark.parametrize(
    ("name", "share", "message"),
    [
        ("random-ish", None, "unknown protocol 'random-ish'; known: holdout, random, "),
        ("leave-last-out", 0.2, "no test share to choose"),
        ("random", 1.5, "between 0 and 1"),
    ],
)
def test_an_impossible_protocol_is_refused(name: str, share: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_protocol(name, seed=7, test_share=share)
