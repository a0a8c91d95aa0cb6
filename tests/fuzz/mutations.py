"""Mutations of bytes and of archives, all drawn from a seeded generator."""

import io
import random
import zipfile
from collections.abc import Callable, Mapping

TOKENS = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b'""', b"\r", b"\n", b"\r\n", b"\t", b";", b",", b",,,,", b"'", b"\\",
    b"NaN", b"inf", b"-inf", b"NULL", b"null", b"-1", b"0", b"1e308", b"-9223372036854775808", b"18446744073709551616",
    b"1.0", b"1.5", b"1,5", b"\xc3\x28", "é".encode("latin-1"), "漢字🎬".encode(), b"$x_{1}$", b"{{ 7 }}", b"[/red]",
    b"\x1b[31m", b"<script>", b"../../x", b"%s%n", b"true", b"[]", b"{}", b"2020-01-01 00:00:00", b"1600000000000",
    b"x" * 200_000,
)  # fmt: skip
"""What trips readers of text: signs that end or quote a field, numbers at the edge, markup, one very long field."""
LARGEST = 4 * 2**20
"""Bytes that a mutation makes at most."""


def mutate(content: bytes, random: random.Random) -> bytes:
    """Return the bytes after one to four mutations."""
    for _ in range(random.randint(1, 4)):
        content = random.choice(_MUTATIONS)(content, random)[:LARGEST]
    return content


def _flip(content: bytes, random: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 3, 30))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(content: bytes, random: random.Random) -> bytes:
    return content[: random.randint(0, len(content))]


def _remove(content: bytes, random: random.Random) -> bytes:
    start, stop = _span(content, random)
    return content[:start] + content[stop:]


def _repeat(content: bytes, random: random.Random) -> bytes:
    start, stop = _span(content, random)
    return content[:stop] + content[start:stop] * random.choice((1, 10, 1000)) + content[stop:]


def _insert(content: bytes, random: random.Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(TOKENS) + content[place:]


def _noise(content: bytes, random: random.Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.randbytes(random.choice((1, 16, 5000))) + content[place:]


def _replace_field(content: bytes, random: random.Random) -> bytes:
    """Replace one field of one line, as if the file were a table."""
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    fields = lines[number].split(b",")
    fields[random.randrange(len(fields))] = random.choice(TOKENS)
    lines[number] = b",".join(fields)
    return b"\n".join(lines)


def _replace_column(content: bytes, random: random.Random) -> bytes:
    """Replace one field of every line but the header."""
    header, *lines = content.split(b"\n")
    place, token = random.randrange(header.count(b",") + 1), random.choice(TOKENS[:-1])
    rows = [line.split(b",") for line in lines]
    for row in rows:
        if place < len(row):
            row[place] = token
    return b"\n".join([header, *(b",".join(row) for row in rows)])


def _shuffle_lines(content: bytes, random: random.Random) -> bytes:
    lines = content.split(b"\n")
    random.shuffle(lines)
    return b"\n".join(lines)


def _line_ends(content: bytes, random: random.Random) -> bytes:
    return content.replace(b"\n", random.choice((b"\r", b"\r\n", b"\n\n", b"")))


def _encode(content: bytes, random: random.Random) -> bytes:
    encoding = random.choice(("utf-16", "utf-16-be", "utf-32", "latin-1", "utf-7"))
    return content.decode("utf-8", errors="replace").encode(encoding, errors="replace")


def _quote_all(content: bytes, random: random.Random) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join(b",".join(b'"' + field + b'"' for field in line.split(b",")) for line in lines)


def _empty(content: bytes, random: random.Random) -> bytes:
    return random.choice((b"", b"\n", content.split(b"\n")[0], content.split(b"\n")[0] + b"\n"))


def _span(content: bytes, random: random.Random) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((1, 20, 500, 20_000)))


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _cut, _remove, _repeat, _insert, _noise, _replace_field, _replace_field, _replace_column, _shuffle_lines,
    _line_ends, _encode, _quote_all, _empty,
)  # fmt: skip


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of the members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def mutated_archive(members: Mapping[str, bytes], random: random.Random) -> bytes:
    """Return an archive that is damaged, or whose members are not what they should be."""
    way = random.randrange(5)
    if way == 0:
        return mutate(pack(members), random)
    names = list(members)
    changed = dict(members)
    victim = random.choice(names)
    if way == 1:
        del changed[victim]
    elif way == 2:
        changed[random.choice(HOSTILE_NAMES) + victim] = changed.pop(victim)
    elif way == 3:
        changed[random.choice(HOSTILE_NAMES) + "extra"] = random.choice((b"", b"x" * LARGEST, random.randbytes(999)))
    else:
        changed[f"copy/{victim}"] = mutate(changed[victim], random)
    return pack(changed)


HOSTILE_NAMES = (
    "../", "../../", "/", "/etc/", "C:\\", "a/../../", "./", "\x1b[31m", "[/red]", "x" * 300 + "/", "ml\n", "\u202e",
)  # fmt: skip
