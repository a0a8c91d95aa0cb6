"""Invent readable titles and synopses for generated items."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def _words(text: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(text.split(separator))


_ADJECTIVES = _words(
    "Amber Ancient Bitter Borrowed Broken Burning Careless Crimson Crooked Distant Drowned Electric Empty "
    "Faithful Fallen Final First Forgotten Frozen Gentle Gilded Golden Hidden Hollow Hungry Innocent Iron Last "
    "Little Lonely Lost Lucky Midnight Missing Northern Paper Perfect Quiet Reckless Restless Savage Second "
    "Secret Seventh Silent Silver Simple Sleepless Southern Stolen Stubborn Sudden Tender Thirsty Unwritten "
    "Velvet Wandering White Wicked Wild"
)
_NOUNS = _words(
    "Alibi Anchor Angel Apartment Avenue Bargain Beacon Blade Bride Bridge Canyon Carnival Castle Chapter Circus "
    "City Clockmaker Colony Country Crossing Crown Daughter Dawn Detective Dream Empire Engine Escape Evening "
    "Factory Father Fever Forest Fortune Frontier Garden Ghost Guest Harbor Harvest Heart Heir Highway Honeymoon "
    "Horizon Hotel Hunter Island Journey Kingdom Lantern Legacy Letter Lighthouse Machine Mirror Mountain "
    "Neighbor Night Orchard Orchestra Outlaw Painter Passenger Patrol Planet Promise Prophecy Rain River Robbery "
    "Sailor School Season Secretary Shadow Sister Soldier Song Spy Station Storm Stranger Street Summer Teacher "
    "Thief Tower Train Trial Valley Verdict Voyage Waltz War Wedding Widow Winter Witness Wolf"
)
_PLACES = _words(
    "Alder Creek, Antwerp, Barcelona, Bombay, Buenos Aires, Cairo, Casablanca, Cedar Falls, Dublin, El Paso, "
    "Glasgow, Havana, Helsinki, Istanbul, Kansas, Kyoto, Lisbon, Maple Street, Marseille, Memphis, Montreal, "
    "Naples, Nevada, New Orleans, Odessa, Oslo, Palermo, Prague, Reykjavík, Salzburg, San Telmo, São Paulo, "
    "Shanghai, Sicily, Tangier, Trieste, Utah, Vienna, Warsaw, Zürich",
    ", ",
)
_NAMES = _words(
    "Ada Agnes Albert Amélie Anton Arthur Beatrice Boris Charlie Clara Daisy Dmitri Edith Elsa Emil Felix Fiona "
    "Frank Greta Gus Hannah Harry Hugo Ida Igor Irene Jack Joan Josephine Karl Kitty Leo Lola Lucy Magda Max "
    "Mildred Nadia Nora Oscar Otto Pablo Pauline Pearl Ralph Rosa Ruby Sam Sofia Stella Theo Ursula Vera Victor "
    "Walter Wanda"
)
_FOREIGN = _words(
    "La noche del faro, Der letzte Zug, Les amants du quai, Il giardino segreto, O barco vazio, Den långa "
    "vintern, Noční vlak, El camino de sal, Die stille Straße, L'été sans fin, Kaze no machi, Il treno delle "
    "nove, La città perduta, Après la pluie",
    ", ",
)
_SUBTITLES = _words(
    "The Return, Homecoming, The Last Stand, A New Beginning, Dead of Night, The Reckoning, Out of Time, The Next "
    "Generation",
    ", ",
)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")

# Syllables with their katakana, from which romanised titles are made.
_KANA = dict(
    pair.split("=")
    for pair in _words(
        "a=ア i=イ u=ウ e=エ o=オ ka=カ ki=キ ku=ク ke=ケ ko=コ sa=サ shi=シ su=ス se=セ so=ソ ta=タ "
        "chi=チ tsu=ツ te=テ to=ト na=ナ ni=ニ nu=ヌ ne=ネ no=ノ ha=ハ hi=ヒ fu=フ he=ヘ ho=ホ ma=マ "
        "mi=ミ mu=ム me=メ mo=モ ya=ヤ yu=ユ yo=ヨ ra=ラ ri=リ ru=ル re=レ ro=ロ wa=ワ ga=ガ gi=ギ "
        "go=ゴ za=ザ ji=ジ zu=ズ da=ダ de=デ do=ド ba=バ bi=ビ bu=ブ"
    )
)
_SEASONS = ("", " 2nd Season", " 3rd Season", " 4th Season", " 5th Season", " 6th Season", " 7th Season", " 8th Season")
_PARTS = {"Movie": " Movie", "OVA": " OVA", "Special": " Specials", "ONA": " ONA", "Music": ": Theme Song", "TV": ""}

_PREMISES = (
    "{name} believes that {place} has no more secrets",
    "When the last {noun} closes its doors, {name} decides to stay",
    "Everybody in {place} knows the story of the {adjective} {noun}",
    "In a world where every {noun} has its price, {name} refuses to pay",
    "{name} has three days to find the {adjective} {noun}",
    "Nobody expected {name} to come back from {place}",
)
_TWISTS = (
    "Before the season ends, an old promise has to be kept.",
    "But the {noun} is not what it seems, and time is running out.",
    "Together with an unlikely friend, {name} sets out to change that.",
    "What begins as a game soon becomes a matter of life and death.",
    "Little do they know that the {adjective} {noun} has been watching them.",
)
_NO_SYNOPSIS = (
    "No synopsis information has been added to this title. Help improve our database by adding a synopsis here ."
)


def _one(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


def _distinct(n: int, make: Callable[[], str]) -> list[str]:
    """Call `make` until it has returned n different names, and return them."""
    names: dict[str, None] = {}
    while len(names) < n:
        names.setdefault(make())
    return list(names)


def movie_titles(
    franchise: NDArray[np.int32], part: NDArray[np.int32], year: NDArray[np.float64], rng: np.random.Generator
) -> list[str]:
    """Return titles in the style of MovieLens: article last, year in brackets, sometimes with a foreign title.

    As in the real data, a few have no year, a trailing blank, a span of years, or the title of another item.
    """

    def name() -> str:
        adjective, noun, place = _one(_ADJECTIVES, rng), _one(_NOUNS, rng), _one(_PLACES, rng)
        patterns = (
            f"{adjective} {noun}",
            f"{adjective} {noun}, The",
            f"{noun} of {place}, The",
            f"{adjective} {noun} in {place}, A"
            if adjective[0] not in "AEIOU"
            else f"{adjective} {noun} in {place}, An",
            f"{_one(_NAMES, rng)}'s {noun}",
            f"{_one(_NAMES, rng)} and the {adjective} {noun}",
        )
        return _one(patterns, rng)

    bases = _distinct(int(franchise.max()) + 1, name)
    titles = []
    for series, number, released in zip(franchise.tolist(), part.tolist(), year.tolist(), strict=True):
        base, comma, article = bases[series].partition(", ")
        if number:
            base += _one((f" {number + 1}", f" {_ROMAN[number]}", f": {_one(_SUBTITLES, rng)} {_ROMAN[number]}"), rng)
        if rng.random() < 0.08:
            article += f" ({_one(_FOREIGN, rng)})" if rng.random() < 0.8 else f" (a.k.a. {name().partition(',')[0]})"
        oddity = rng.random()
        if oddity < 0.0012:
            when = ""
        elif oddity < 0.0015:
            when = f" ({int(released)}–{int(released) + 1})"
        else:
            when = f" ({int(released)})" + " " * (oddity < 0.0025)
        titles.append(f"{base}{comma}{article}{when}" if comma or not article else f"{base}{article}{when}")
    for copy in np.flatnonzero(rng.random(len(titles)) < 0.0005):
        titles[copy] = titles[copy // 2]
    return titles


def anime_titles(
    franchise: NDArray[np.int32], part: NDArray[np.int32], kind: list[str], rng: np.random.Generator
) -> tuple[list[str], list[str], list[str]]:
    """Return titles in romanised Japanese, in English (mostly `Unknown`, as on the site) and in katakana."""
    syllables = tuple(_KANA)

    def word() -> str:
        return " ".join(_one(syllables, rng) for _ in range(int(rng.integers(2, 5))))

    def name() -> str:
        return _one(("{}|no|{}", "{}", "{}|{}", "{}|to|{}"), rng).format(word(), word())

    def english() -> str:
        adjective, noun = _one(_ADJECTIVES, rng), _one(_NOUNS, rng)
        return _one(
            (
                f"The {adjective} {noun}",
                f"{noun} of the {adjective} {_one(_NOUNS, rng)}",
                f"{_one(_NAMES, rng)}'s {noun}",
            ),
            rng,
        )

    bases = _distinct(int(franchise.max()) + 1, name)
    translations = [english() for _ in bases]
    names, in_english, in_japanese = [], [], []
    for series, number, form in zip(franchise.tolist(), part.tolist(), kind, strict=True):
        ending = (_SEASONS[number] if form == "TV" else f"{_PARTS.get(form, '')} {number + 1}") if number else ""
        words = bases[series].split("|")
        names.append(" ".join(w if w in ("no", "to") else w.replace(" ", "").capitalize() for w in words) + ending)
        in_english.append(translations[series] + ending if rng.random() < 0.4 else "Unknown")
        in_japanese.append(
            "".join(_KANA[s] for w in words for s in w.split(" ")) if rng.random() > 0.003 else "Unknown"
        )
    return names, in_english, in_japanese


def synopsis(genres: list[str], rng: np.random.Generator) -> str:
    """Return a few sentences that mention the genres, or the site's text for a missing synopsis."""
    if rng.random() < 0.045:
        return _NO_SYNOPSIS
    words = {
        "name": _one(_NAMES, rng),
        "place": _one(_PLACES, rng),
        "noun": _one(_NOUNS, rng).lower(),
        "adjective": _one(_ADJECTIVES, rng).lower(),
    }
    genre_text = " and ".join(genre.lower() for genre in genres[:3]) or "everyday life"
    return f"{_one(_PREMISES, rng).format(**words)}. {_one(_TWISTS, rng).format(**words)} A tale of {genre_text}."
