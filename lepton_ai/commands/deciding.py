"""What commands share that write down who decided what, and when."""

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from deployments.targets.trust.decision import MAX_WORDS, to_line
from lepton_ai.commands.common import EXIT_USAGE, fail
from storage.base.store import redact

Author = Annotated[
    str | None,
    typer.Option("--author", help="Who decides; default: the user.", envvar="LEPTON_AUTHOR"),
]


def name_author(given: str | None) -> str:
    """Return who decides: the one named, else the user of this machine."""
    if given and (named := parse_words(given)):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def parse_words(text: str) -> str:
    """Return what a person wrote, as it is signed and shown; what is too long is bad usage."""
    line = to_line(text)
    if len(line) > MAX_WORDS:
        raise fail(
            f"author and reason must have at most {MAX_WORDS} letters; got {len(line)}; write less",
            EXIT_USAGE,
        )
    return line


def parse_time(text: str | None, option: str) -> datetime | None:
    """Read a time by ISO 8601; without a zone it is UTC.

    Args:
        text: As it was written; None where it was not given.
        option: The option, for the message.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fail(
            f"{option} ({redact(text)}) must be a time by ISO 8601; got another; write e.g. "
            "2026-03-01T08:00:00Z",
            EXIT_USAGE,
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
