"""How a file marks decimals and thousands, and what a number of it is by these marks.

A number is written anew with a decimal point and nothing between thousands, and is then read like
any other. So learning and asking read one text alike, and the marks are no concern of anybody else.
"""

import math
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from storage.base.cells import Missing, read_number

Decimal = Literal[".", ","]
Thousands = Literal[".", ",", " ", "'"]
_WRITTEN: dict[str, str] = {" ": " \u00a0\u2009\u202f", "'": "'\u2019"}
"""Signs that people see as one: blanks of any width, apostrophes."""


class Marks(NamedTuple):
    """What stands before decimals, and what between thousands; None for nothing."""

    decimal: Decimal = "."
    thousands: Thousands | None = None

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as everywhere else here."""
        return self == Marks()


class NumberWriter:
    """Writes the numbers of a file anew, with a decimal point and nothing between thousands.

    Args:
        marks: How the file writes them.
        missing: The texts that mean that there is no value.
    """

    def __init__(self, marks: Marks, missing: Missing) -> None:
        self._marks, self._missing = marks, missing
        self._pattern = _compile(marks)
        read = [self._read(text) for text in missing.texts]
        given = [number for number in read if number is not None and math.isfinite(number)]
        self._gone = frozenset(given) - missing.numbers

    @property
    def must_see_texts(self) -> bool:
        """Whether a parser that knows the decimal mark alone would read some number otherwise."""
        return self._marks.thousands is not None or bool(self._gone)

    def write(self, text: str) -> str:
        """Return the text of a cell as it is read everywhere else.

        What is missing, or no number by any marks, stays as it is. What is a number by a point and
        none by these marks, as `1.5` of a file with decimal commas, becomes a text that is none.
        """
        plain = text.strip()
        if plain in self._missing.texts:
            return text
        number = self._rewrite(plain)
        if number is not None:
            return "" if self._gone and float(number) in self._gone else number
        known = read_number(plain)
        if known is None or not any(sign.isdigit() for sign in plain):
            return text
        return f"{plain} [decimal mark: {self._marks.decimal}]"

    def _rewrite(self, plain: str) -> str | None:
        found = self._pattern.fullmatch(plain)
        if found is None or not (found["whole"] or found["rest"]):
            return None
        whole = "".join(sign for sign in found["whole"] if sign.isdigit())
        rest = f".{found['rest']}" if found["rest"] else ""
        return f"{found['sign']}{whole}{rest}{found['power'] or ''}"

    def _read(self, text: str) -> float | None:
        number = self._rewrite(text)
        return None if number is None else float(number)


@lru_cache(maxsize=16)
def _compile(marks: Marks) -> re.Pattern[str]:
    whole = r"\d*"
    if marks.thousands is not None:
        signs = re.escape(_WRITTEN.get(marks.thousands, marks.thousands))
        whole = rf"\d{{1,3}}(?:[{signs}]\d{{3}})+|\d*"
    return re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>{whole})(?:{re.escape(marks.decimal)}(?P<rest>\d*))?"
        r"(?P<power>[eE][+-]?\d+)?",
        re.ASCII,
    )
