"""How files of texts look: what stands between values, the encoding, the names of the columns.

Learning and asking share it, so that a model can be asked with the file that it learned from.
"""

import codecs
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
MOST_MARK_BYTES = 3
_NO_FILES = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
"""Codecs of single names, of which a file would take hours, and of Python's own literals."""


def check_delimiter(delimiter: str) -> str:
    """Return what stands between two values.

    Raises:
        ValueError: It may be a part of a number, a quote or a line end.
    """
    if not delimiter.isascii() or delimiter.isalnum() or delimiter in '"\r\n.+-':
        raise ValueError("be one sign that stands in no number, as a comma; write as ';'")
    return delimiter


def check_encoding(encoding: str) -> str:
    """Return the name of an encoding.

    Raises:
        ValueError: It is not known here, or none of texts.
    """
    # Python knows codecs that are none of texts, such as rot13, and says so by a private name.
    try:
        found = codecs.lookup(encoding)
        is_text = getattr(found, "_is_text_encoding", True)
        is_text = is_text and found.name.replace("-", "_") not in _NO_FILES
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError("be an encoding of texts that is known here; write as latin-1")
    return encoding


Delimiter = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(check_delimiter)]
Encoding = Annotated[str, AfterValidator(check_encoding)]


class TextStyle(BaseModel):
    """How the CSV files of a source look.

    Attributes:
        delimiter: What stands between two values.
        encoding: Encoding of files without a byte order mark.
        header: Names of the columns of files without a header of their own; empty where the first
            record names them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    header: tuple[str, ...] = ()


def find_encoding(head: bytes, encoding: str) -> tuple[str, int]:
    """Return the encoding of a file, and how many bytes its byte order mark has.

    Args:
        head: The first bytes of the file.
        encoding: Its encoding where it has no mark.
    """
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    return _MARKS.get(mark, encoding), len(mark)
