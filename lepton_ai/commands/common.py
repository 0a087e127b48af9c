"""What the commands share: options, exit statuses, and how errors reach a person."""

import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from deployments.targets.errors import TargetError
from lepton_ai.extras import explain_absence
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
    """A message to the person at the terminal; never to standard output."""
    stderr.print(message, style=style, markup=False, highlight=False, soft_wrap=True)


def fail(message: str, status: int = EXIT_FAILED) -> typer.Exit:
    """Says what went wrong; raise what it returns."""
    say(f"error: {message}", "red")
    return typer.Exit(status)


def explain(error: BaseException) -> str:
    """An error's sentence, and below it what those that it passed through have added."""
    return "\n".join(text for text in (str(error), *getattr(error, "__notes__", ())) if text)


def translate_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Known errors become one sentence and exit status 1; only the unforeseen keeps its traceback."""

    @functools.wraps(command)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (StorageError, TargetError) as error:
            raise fail(explain(error)) from error

    return translated


def require_platform(error: ImportError, command: str) -> typer.Exit:
    """The answer to a command that needs more than a device has."""
    return fail(explain_absence(f"`lepton {command}`", error), EXIT_USAGE)
