"""What a value of a table's file means, whoever reads it: learning and asking share these rules.

A value is a text first. White space around it does not count. It is missing if the recipe says that
its text is, or, in a column of numbers, if it is the same number written otherwise: `-999.0` where
`-999` is missing. What is neither missing nor a number is unreadable, which is a fault of its own.
"""

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

LARGEST = 3.4028234663852886e38
"""Largest number that a model can take: it computes in float32, where more is infinite."""
MAX_QUOTED = 40
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}([. ']\d{3})+),\d+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_PLAIN_EXPONENTS = range(-6, 10)
_EXACT = 2**53


class Missing:
    """The texts that mean that there is no value.

    Args:
        texts: As a recipe or a card lists them.

    Attributes:
        texts: Without white space around them.
        numbers: What those of them that are numbers are.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = frozenset(text.strip() for text in texts)
        read = [read_number(text) for text in self.texts]
        self.numbers = frozenset(
            number for number in read if number is not None and math.isfinite(number)
        )


@lru_cache(maxsize=64)
def find_missing(texts: tuple[str, ...]) -> Missing:
    """Return what these texts mean as missing values; made once."""
    return Missing(texts)


def read_number(text: str) -> float | None:
    """Return the number that a text is: a decimal point, an exponent, `inf` or `nan`.

    Returns:
        None where it is none, such as `1,5`, `1.5%` or `1_000`.
    """
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def read_number_cell(text: str | None, missing: Missing) -> float | None:
    """Return the number of a cell: NaN where it is missing, None where it cannot be read.

    An empty cell of a column of numbers is always missing.
    """
    stripped = (text or "").strip()
    if not stripped or stripped in missing.texts:
        return math.nan
    number = read_number(stripped)
    return math.nan if number in missing.numbers else number


def read_text_cell(text: str | None, missing: Missing) -> str | None:
    """Return the text of a cell, such as a category; None where it is missing."""
    if text is None:
        return None
    stripped = text.strip()
    return None if stripped in missing.texts else stripped


def write_number(value: float) -> str:
    """Return the text of a number as it stands in a column of texts, shortest form.

    1.0 is `1`, as a Parquet file's column of floats becomes one of texts.
    """
    if not math.isfinite(value):
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    lead = "-" if sign else ""
    text = "".join(map(str, digits))
    place = len(text) + int(exponent) - 1
    if place in _PLAIN_EXPONENTS or value == 0:
        return lead + format(Decimal(text).scaleb(int(exponent)), "f")
    rest = f".{text[1:]}" if text[1:] else ""
    return f"{lead}{text[0]}{rest}e{place:+d}"


def match_number(value: float, known: Sequence[str]) -> str:
    """Return how a number of JSON is written among known texts; JSON cannot tell 1 from 1.0."""
    if not abs(value) < _EXACT:
        return repr(value)
    spellings = [repr(value), write_number(float(value)), repr(float(value))]
    return next((text for text in spellings if text in known), spellings[0])


def explain_unreadable(text: str) -> str:
    """Return why a text is no number and what to do, where that can be seen; else ""."""
    stripped = text.strip()
    if _GROUPED.fullmatch(stripped):
        return (
            "a comma between thousands, or in place of a decimal point: write 1234.5, or say it in "
            "source.thousands or source.decimal of the recipe"
        )
    if _DECIMAL_COMMA.fullmatch(stripped):
        return "a decimal comma: write a decimal point, or source.decimal of the recipe as ','"
    if stripped.endswith("%") and read_number(stripped[:-1]) is not None:
        return "a percent sign: write the number alone"
    return ""
