"""Name an item that has no title: `#<id>` takes the place of the title wherever a name is shown."""


def name_sql(table: str = "items") -> str:
    """Return an SQL expression for the name of an item: its title, or `#<id>` if the title is unknown or blank.

    Args:
        table: name or alias of a table with the columns `title` and `item_id`.
    """
    # A title of spaces and control characters only is as blank as an empty one.
    return (
        f"CASE WHEN regexp_matches({table}.title, '[^\\s\\pZ\\pC]') THEN {table}.title ELSE '#' || {table}.item_id END"
    )
