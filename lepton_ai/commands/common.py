"""Holds what the commands share: options, exit statuses, output, and words for errors."""

import functools
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from deployments.targets.errors import TargetError
from lepton_ai.extras import PLATFORM, explain_absence
from storage.base.errors import StorageError

EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 1, 2, 3
DEFAULT_WORKSPACE = "./workspace"

Workspace = Annotated[
    str,
    typer.Option(
        "--workspace",
        "-w",
        help="Folder or URL that holds everything a project makes.",
        envvar="LEPTON_WORKSPACE",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]

P = ParamSpec("P")
R = TypeVar("R")

stderr = Console(stderr=True)


def say(message: str, style: str | None = None) -> None:
    """Sends a message to the person at the terminal, never to standard output."""
    stderr.print(message, style=style, markup=False, highlight=False, soft_wrap=True)


def answer(fields: dict[str, Any], text: str, as_json: bool) -> None:
    """Writes one line to standard output: the fields as JSON for programs, or the text."""
    sys.stdout.write((json.dumps(fields, default=str) if as_json else text) + "\n")


def fail(message: str, status: int = EXIT_FAILED) -> typer.Exit:
    """Says what went wrong; raise what it returns."""
    say(f"error: {message}", "red")
    return typer.Exit(status)


def explain(error: BaseException) -> str:
    """Return an error's sentence, and below it the notes that were added on its way."""
    return "\n".join(text for text in (str(error), *getattr(error, "__notes__", ())) if text)


def translate_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turns known errors into a sentence and exit status 1; others keep their traceback."""

    @functools.wraps(command)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (StorageError, TargetError) as error:
            raise fail(explain(error)) from error

    return translated


def on_platform(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a command that a device's install lacks the packages for say so, with exit status 2.

    Known errors are translated, too. The command imports those packages when it is called.

    Args:
        name: Name of the command, as in `lepton NAME`.
    """
    return with_extra(name, PLATFORM)


def with_extra(name: str, extra: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Does the same for the packages of any extra.

    Args:
        name: Name of the command, as in `lepton NAME`.
        extra: The extra that brings the packages.
    """

    def guard(command: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(command)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return translate_errors(command)(*args, **kwargs)
            except ModuleNotFoundError as error:
                raise fail(explain_absence(f"`lepton {name}`", error, extra), EXIT_USAGE) from error

        return guarded

    return guard


def parse_ids(texts: list[str], what: str) -> list[int]:
    """Reads row ids, which are written decimal or 0x hexadecimal.

    Args:
        texts: As they were written.
        what: What holds them, for the message.
    """
    try:
        return [int(text, 0) for text in texts]
    except ValueError as error:
        raise fail(
            f"{what} must be a whole number, decimal or 0x hexadecimal; got {texts}", EXIT_USAGE
        ) from error
