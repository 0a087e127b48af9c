"""What commands share that write down who decided what, and when."""

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from lepton_ai.commands.common import EXIT_USAGE, fail
from storage.base.store import redact

Author = Annotated[
    str | None,
    typer.Option("--author", help="Who decides; default: the user.", envvar="LEPTON_AUTHOR"),
]


def name_author(given: str | None) -> str:
    """Return who decides: the one named, else the user of this machine."""
    if given:
        return redact(given)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


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
