"""Writes a drafted recipe as YAML, each guess as a comment above what it is about."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.drafting.guesses import Guess

MOST_COLUMNS = 100
_PLAIN = re.compile(r"[A-Za-z][\w-]*")
_TRAPS = frozenset(
    ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf")
)


def write_recipe(document: Mapping[str, Any], guesses: Sequence[Guess], intro: str) -> str:
    """Return the text of a recipe.

    Args:
        document: The recipe as plain data, its sections in the order in which they are written.
        guesses: What was guessed; each is written above the key that its path names, or above the
            nearest section around it.
        intro: What stands at the top, as a comment.
    """
    places: dict[str, list[Guess]] = {}
    for guess in guesses:
        places.setdefault(_find_place(guess.what, document), []).append(guess)
    lines = list(_comment(intro, ""))
    for key, value in document.items():
        nested = isinstance(value, Mapping) and key not in ("targets",)
        if nested or key == "targets":
            lines.append("")
        lines += _tell(places.get(key, ()), "")
        if not nested:
            lines += _write_value(key, value, "")
            continue
        lines.append(f"{key}:")
        for inner, content in value.items():
            lines += _tell(places.get(f"{key}.{inner}", ()), "  ")
            lines += _write_value(inner, content, "  ")
    return "\n".join(lines) + "\n"


def _find_place(path: str, document: Mapping[str, Any]) -> str:
    """Return the path of the key that a comment is written above: of one or two parts."""
    first, _, rest = path.partition(".")
    second = rest.partition(".")[0]
    section = document.get(first)
    if second and isinstance(section, Mapping) and second in section and first != "targets":
        return f"{first}.{second}"
    return first


def _tell(guesses: Sequence[Guess], indent: str) -> Iterator[str]:
    for guess in guesses:
        yield from _comment(f"{guess.what}: {guess}", indent)


def _comment(text: str, indent: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        # A line break in a name of the data must not end the comment.
        plain = "".join(sign if sign.isprintable() else " " for sign in paragraph)
        start = f"{indent}# "
        yield from textwrap.wrap(
            plain, MOST_COLUMNS, initial_indent=start, subsequent_indent=start
        ) or [f"{indent}#"]


def _write_value(key: str, value: Any, indent: str) -> Iterator[str]:
    """Yield a key with its value in flow style, broken where a line gets too long."""
    start = f"{indent}{write_scalar(key)}: "
    text = write_flow(value)
    if len(start) + len(text) <= MOST_COLUMNS:
        yield start + text
        return
    if isinstance(value, Mapping):
        yield start.rstrip()
        for inner, content in value.items():
            yield from _write_value(inner, content, indent + "  ")
        return
    if not isinstance(value, list | tuple):
        yield start + text
        return
    yield f"{start}["
    line = f"{indent}  "
    for item in value:
        part = write_flow(item) + ", "
        if len(line) + len(part) > MOST_COLUMNS and line.strip():
            yield line.rstrip()
            line = f"{indent}  "
        line += part
    yield line.rstrip()
    yield f"{indent}]"


def write_flow(value: Any) -> str:
    """Return a value in YAML's flow style."""
    if isinstance(value, Mapping):
        inner = (f"{write_scalar(key)}: {write_flow(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_flow, value)) + "]"
    return write_scalar(value)


def write_scalar(value: Any) -> str:
    """Return one value so that YAML reads the same: a text that it may take otherwise is quoted."""
    if isinstance(value, float):
        # YAML takes an exponent behind no point for a text.
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _TRAPS:
        return text
    # YAML has JSON's escapes, but takes some signs for line ends.
    return json.dumps(text, ensure_ascii=any(not sign.isprintable() for sign in text))
