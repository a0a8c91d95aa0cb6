"""The protocol of each paper: which items and interactions it keeps, how it splits them, and its parameters.

`Protocol.export` writes the files that `recsys evaluate` takes. What a paper does to ratings and inputs beyond that,
including its faults, is in `as_published`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from recsys_dagster.domains import Domain
from recsys_dagster.errors import UsageError
from recsys_dagster.evaluation.protocols import Protocol, RandomPairs

_ENGLISH_WHERE_PUBLISHED = (
    "(title_english IS NOT NULL OR NOT EXISTS (SELECT 1 FROM clean.items WHERE title_english IS NOT NULL))"
)
_YEAR_WHERE_PUBLISHED = "(year IS NOT NULL OR NOT EXISTS (SELECT 1 FROM clean.items WHERE year IS NOT NULL))"
_FIVE_THOUSAND_USERS = (
    "rating IS NOT NULL AND user_id IN (SELECT user_id FROM protocol.interactions WHERE rating IS NOT NULL"
    " GROUP BY user_id ORDER BY min(user_draw), user_id LIMIT 5000)"
)
_WATCHING_OR_COMPLETED = (
    "(user_id, item_id) NOT IN (SELECT (user_id, item_id) FROM anime.clean.interactions"
    " WHERE status NOT IN ('watching', 'completed'))"
)


@dataclass(frozen=True)
class _Setting:
    """What a paper says about its protocol on one domain; the fields are those of `Protocol`."""

    test_share: float
    presets: Mapping[str, str]
    items: str = "TRUE"
    pairs: str = "rating IS NOT NULL"
    like_threshold: float | None = None


_SETTINGS: dict[tuple[str, str], _Setting] = {
    # As the paper says; but its 1,637,129 parameters are those of 16,843 items, and only 5,829 pass the filter.
    ("000", "anime"): _Setting(
        test_share=0.2,
        presets={"embedding_mlp": "paper_anime"},
        items=f"site_score IS NOT NULL AND kind IS NOT NULL AND episodes IS NOT NULL AND {_ENGLISH_WHERE_PUBLISHED}",
        pairs="rating >= 6",
    ),
    ("000", "movie"): _Setting(test_share=0.2, presets={"embedding_mlp": "paper_movie"}),
    # A like is a rating above 3.5, that is from 4 on. The paper does not mention 3.5 itself, but its 10,555 steps of 64
    # are nine tenths of all its 750,512 ratings, so that none was dropped.
    ("001", "movie"): _Setting(
        test_share=0.1,
        presets={
            "like_classifier": "paper",
            "like_logistic": "default",
            "like_forest": "default",
            "like_naive_bayes": "default",
        },
        pairs=_FIVE_THOUSAND_USERS,
        like_threshold=4.0,
    ),
    # The paper does not print its test share. Its explicit models learn from what is rated; its sequences take every
    # title that was watched, rated or not. Its ALS is Spark's; `als_wr` is the same without Spark.
    ("002", "anime"): _Setting(
        test_share=0.2,
        presets={
            "beta_network_100": "paper",
            "beta_network_128": "paper",
            "beta_network_150": "paper",
            "als": "als_wr",
        },
        pairs=_WATCHING_OR_COMPLETED,
    ),
    # On movies only its sequences, because no anime dataset has times.
    ("002", "movie"): _Setting(test_share=0.2, presets={"bilstm": "paper"}),
    ("003", "anime"): _Setting(
        test_share=0.3, presets={"two_tower": "paper"}, items=f"genres IS NOT NULL AND {_YEAR_WHERE_PUBLISHED}"
    ),
    # The paper does not print its test share. It counts an interaction without a rating as a rating of -1.
    ("004", "anime"): _Setting(
        test_share=0.2,
        presets={"dropout_mlp": "paper"},
        pairs="TRUE",
    ),
}
PREFIX = "paper-"


def paper_protocols(domain: Domain) -> tuple[str, ...]:
    """Return the names of the papers' protocols for the domain, such as `paper-000`."""
    return tuple(f"{PREFIX}{paper}" for paper, name in _SETTINGS if name == domain.name)


def paper_protocol(name: str, domain: Domain, *, seed: int) -> Protocol:
    """Return the protocol of a paper on a domain.

    Raises:
        UsageError: there is no such paper, or it is not about the domain.
    """
    setting = _SETTINGS.get((name.removeprefix(PREFIX), domain.name))
    if setting is None or not name.startswith(PREFIX):
        raise UsageError(
            f"no protocol {name!r} for the domain {domain.name!r}; known: {', '.join(paper_protocols(domain))}"
        )
    return Protocol(
        name,
        RandomPairs(seed=seed, test_share=setting.test_share),
        items=setting.items,
        pairs=setting.pairs,
        like_threshold=setting.like_threshold,
        presets=setting.presets,
    )
