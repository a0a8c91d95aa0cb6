import pytest

from recsys_dagster.runtime.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Škola, 銀魂 & [red]", "Škola, 銀魂 & [red]"),
        ("two\r\nlines\tand\u3000spaces\xa0", "two  lines and spaces "),
        ("\x1b[31mred\x07\x9b\u202e\ud800", "\N{REPLACEMENT CHARACTER}[31mred" + 4 * "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_text_is_shown_on_one_line_without_control_characters(text: str, shown: str) -> None:
    assert printable(text) == shown
