import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.text import printable
from recsys_dagster.serving.item_finder import ItemFinder, NamedItem, normalise

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
def test_an_item_is_found_in_any_spelling_of_its_name(name: str, item_id: int) -> None:
    assert FINDER.find(name).item_id == item_id


def test_the_exact_spelling_takes_precedence() -> None:
    assert [FINDER.find(name).item_id for name in ("Gintama", "gintama", "Gintama'", "gintama'")] == [2, 2, 3, 3]


def test_a_title_takes_precedence_over_an_english_title() -> None:
    assert FINDER.find("spirited away").item_id == 15


def test_a_year_or_an_id_chooses_among_items_of_the_same_name() -> None:
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
        "several titles are called 'emma'; choose one of: Emma (1996) #5, Emma (2009) #6, Emma (1996) #7"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Cowboy Bepop", "unknown title 'Cowboy Bepop'; similar: Cowboy Bebop (1998)"),
        ("Chihiro", "unknown title 'Chihiro'; similar: Sen to Chihiro no Kamikakushi (2001)"),
        ("qqqq", "unknown title 'qqqq'; no title is similar"),
        ("Emma (1812)", "unknown title 'Emma (1812)'; similar: Emma (1996), Emma (2009), Emma (1996)"),
        ("#999", "unknown title '#999'; no title is similar"),
    ],
)
def test_an_unknown_name_lists_similar_ones(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        FINDER.find(name)
    assert str(caught.value) == message


def test_messages_show_titles_on_one_line_without_control_characters() -> None:
    with pytest.raises(UsageError) as caught:
        FINDER.find("neko\u202e\nto")
    name = printable("Neko\u202e\nto")
    assert f"{name} (TV) #19, {name} (TV) #20" in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_item_without_a_title_is_found_and_named_by_its_id() -> None:
    item = ItemFinder([NamedItem(1, "#1", None, "Movie", 1995)]).find("#1")
    assert (item.label, item.label_with_id) == ("#1 (1995)", "#1 (1995)")


def test_marks_of_other_scripts_tell_names_apart() -> None:
    assert normalise("かき") != normalise("がき")
    assert normalise("Amélie") == normalise("AMELIE")


@given(st.text(max_size=30).filter(str.strip))
def test_any_name_finds_itself(name: str) -> None:
    finder = ItemFinder([NamedItem(1, name.strip(), None, None, None)])
    assert finder.find(name).item_id == 1
