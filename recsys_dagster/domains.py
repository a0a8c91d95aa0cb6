"""Define the domains; everything that differs between them is data of this module."""

from dataclasses import dataclass

from recsys_dagster.errors import UsageError


@dataclass(frozen=True)
class Domain:
    """A kind of item with its own ratings, models and recommendations.

    Attributes:
        name: name of the domain; also its partition key.
        scale: lowest and highest possible rating.
        like_threshold: a rating at or above it counts as liked.
        default_dataset: id of the dataset that is used unless the settings name another.
    """

    name: str
    scale: tuple[float, float]
    like_threshold: float
    default_dataset: str


DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain("anime", scale=(1, 10), like_threshold=8, default_dataset="sample-anime"),
        Domain("movie", scale=(0.5, 5), like_threshold=4, default_dataset="sample-movie"),
    )
}


def get_domain(name: str) -> Domain:
    """Return the domain with the given name; raise UsageError, which lists the known names, if there is none."""
    try:
        return DOMAINS[name]
    except KeyError:
        raise UsageError(f"unknown domain {name!r}; known: {', '.join(DOMAINS)}") from None


def default_like_threshold(scale: tuple[float, float]) -> float:
    """Return the default like threshold of a rating scale that belongs to no domain.

    It is 7/9 of the way from the lowest to the highest rating, rounded to the nearest half. This agrees with the
    domains (8 on 1 to 10, 4 on 0.5 to 5) and gives 4 on a scale of 1 to 5.
    """
    low, high = scale
    return round(2 * (low + 7 / 9 * (high - low))) / 2
