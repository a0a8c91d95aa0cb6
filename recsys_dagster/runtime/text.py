"""Make text from outside safe to print."""


def printable(text: str) -> str:
    """Return the text on one line, without characters that could move the cursor or change colours.

    White space of any kind becomes a space, any other character that cannot be printed becomes `�`.
    """
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
