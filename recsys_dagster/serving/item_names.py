"""Name an item that has no title: `#<id>`, with the id of the source, takes its place wherever a name is shown."""


def name_sql(table: str = "items") -> str:
    """Return an SQL expression for the name of an item: its title, or `#<id>` if the title is unknown or blank.

    Args:
        table: name or alias of a table with the columns `title`, `source_id` and `item_id`.
    """
    # A title of spaces and control characters only is as blank as an empty one.
    has_title = f"regexp_matches({table}.title, '[^\\s\\pZ\\pC]')"
    source_id = f"coalesce({table}.source_id, {table}.item_id::VARCHAR)"
    return f"CASE WHEN {has_title} THEN {table}.title ELSE '#' || {source_id} END"
