import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.errors import UsageError
from recsys_dagster.serving.item_finder import ItemFinder, NamedItem, tolerant

NAMED = [
    (1, "Cowboy Bebop", None, "TV", 1998),
    (2, "Gintama", None, "TV", 2006),
    (3, "Gintama'", "Gintama Season 2", "TV", 2011),
    (4, "Matrix, The", None, "Movie", 1999),
    (5, "Emma", None, "Movie", 1996),
    (6, "Emma", None, "Movie", 2009),
    (7, "Emma", None, "Movie", 1996),
    (8, "Misérables, Les", None, "Movie", 1998),
    (9, "Seven (a.k.a. Se7en)", None, "Movie", 1995),
    (10, "Sen to Chihiro no Kamikakushi", "Spirited Away", "Movie", 2001),
    (11, "Hunter x Hunter", None, "TV", 1999),
    (12, "Hunter x Hunter (2011)", None, "TV", 2011),
    (13, "Fast & Furious", None, "Movie", None),
    (14, "!!!", None, None, None),
    (15, "Spirited Away", None, "OVA", 1950),
    (16, "A = B", None, "Movie", 2000),
    (17, "City of God (Cidade de Deus)", None, "Movie", 2002),
    (18, "Spider-Man", None, "Movie", 2002),
    (19, "Neko\u202e\nto", None, "TV", None),
    (20, "Neko\u202e\nto", None, "TV", None),
]
FINDER = ItemFinder(NamedItem(*named) for named in NAMED)


@pytest.mark.parametrize(
    ("name", "item_id"),
    [
        ("Cowboy Bebop", 1),
        ("  cowboy   BEBOP! ", 1),
        ("The Matrix", 4),
        ("matrix, the", 4),
        ("Matrix", 4),
        ("the matrix (1999)", 4),
        ("les miserables", 8),
        ("Se7en", 9),
        ("seven", 9),
        ("cidade de deus", 17),
        ("Fast and Furious", 13),
        ("spiderman", 18),
        ("Hunter × Hunter", 11),
        ("hunter x hunter (2011)", 12),
        ("gintama season 2", 3),
        ("sen to chihiro no kamikakushi", 10),
        ("!!!", 14),
        ("a=b", 16),
    ],
)
def test_a_title_is_found_whatever_its_spelling(name: str, item_id: int) -> None:
    assert FINDER.find(name).item_id == item_id


def test_the_name_as_it_is_written_comes_first() -> None:
    assert [FINDER.find(name).item_id for name in ("Gintama", "gintama", "Gintama'", "gintama'")] == [2, 2, 3, 3]


def test_a_title_comes_before_the_english_title_of_another() -> None:
    assert FINDER.find("spirited away").item_id == 15


def test_a_year_or_an_id_chooses_among_titles_of_one_name() -> None:
    assert [FINDER.find(name).item_id for name in ("Emma (2009)", "emma (2009)", "Emma (1996) #7", "#5")] == [
        6,
        6,
        7,
        5,
    ]


def test_an_ambiguous_name_lists_what_can_be_typed_instead() -> None:
    with pytest.raises(UsageError) as caught:
        FINDER.find("emma")
    assert str(caught.value) == (
        "'emma' is the name of several titles; write it as here: Emma (1996) #5, Emma (2009) #6, Emma (1996) #7"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Cowboy Bepop", "unknown title 'Cowboy Bepop'; near it: Cowboy Bebop (1998)"),
        ("Chihiro", "unknown title 'Chihiro'; near it: Sen to Chihiro no Kamikakushi (2001)"),
        ("qqqq", "unknown title 'qqqq'; no name resembles it"),
        ("Emma (1812)", "unknown title 'Emma (1812)'; near it: Emma (1996), Emma (2009), Emma (1996)"),
        ("#999", "unknown title '#999'; no name resembles it"),
    ],
)
def test_an_unknown_name_lists_the_near_ones(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        FINDER.find(name)
    assert str(caught.value) == said


def test_what_is_said_of_titles_stays_on_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        FINDER.find("neko\u202e\nto")
    assert "Nekoto (TV) #19, Nekoto (TV) #20" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_marks_of_other_scripts_tell_names_apart() -> None:
    assert tolerant("かき") != tolerant("がき")
    assert tolerant("Amélie") == tolerant("AMELIE")


@given(st.text(max_size=30).filter(str.strip))
def test_any_name_finds_itself(name: str) -> None:
    finder = ItemFinder([NamedItem(1, name.strip(), None, None, None)])
    assert finder.find(name).item_id == 1
