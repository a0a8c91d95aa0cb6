"""The domains: what differs between them is data here, never an `if` elsewhere."""

from dataclasses import dataclass

from recsys_dagster.errors import UsageError


@dataclass(frozen=True)
class Domain:
    """A kind of title with its own ratings, models and lists.

    Attributes:
        name: the partition key.
        scale: lowest and highest rating that can be given.
        like_threshold: a rating at or above it counts as liked.
        default_dataset: id in the dataset catalogue, used unless the settings choose another.
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
    """Return the domain of that name; raise UsageError, listing the known ones, if there is none."""
    try:
        return DOMAINS[name]
    except KeyError:
        raise UsageError(f"unknown domain {name!r}; known: {', '.join(DOMAINS)}") from None


def like_threshold_of(scale: tuple[float, float]) -> float:
    """Return from which rating on a title counts as liked on a scale that belongs to no domain.

    Seven ninths of the way up, where the domains have theirs (8 of 1 to 10, 4 of 0.5 to 5), to the nearest half: 4 of
    1 to 5.
    """
    low, high = scale
    return round(2 * (low + 7 / 9 * (high - low))) / 2
