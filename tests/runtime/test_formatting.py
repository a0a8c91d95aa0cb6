import pytest

from recsys_dagster.runtime.formatting import format_row, format_share


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100 %"), (0.05, "5 %"), (0.123456, "12.3 %"), (0.00001, "0.001 %"), (0, "0 %")]
)
def test_a_share_is_a_percentage(share: float, text: str) -> None:
    assert format_share(share) == text


def test_a_row_is_shown_in_one_short_line_and_not_where_it_could_name_a_user() -> None:
    assert format_row(2, "1,x\x1b[2J\n2") == "line 2: `1,x\N{REPLACEMENT CHARACTER}[2J 2`"
    assert format_row(2, "x" * 500) == f"line 2: `{'x' * 99}…`"
    assert format_row(12_345, None) == "line 12,345"
