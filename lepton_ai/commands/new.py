"""`lepton new`: look at data that nobody has described, and draft a recipe for them."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lepton_ai.commands.common import EXIT_USAGE, AsJson, answer, fail, on_platform, say
from lepton_ai.commands.run import parse_settings

if TYPE_CHECKING:
    from tasks.drafting.draft import Draft

_NAME = r"[a-z][a-z0-9-]{0,47}"
_STYLES = {"unsure": "yellow", "unknown": "bold yellow"}


@on_platform("new")
def new(
    url: Annotated[
        str, typer.Argument(help="A file, a folder, an archive of pictures or a glob, at any URL.")
    ],
    target: Annotated[
        str | None, typer.Option("--target", help="Column that is asked for; default: a guess.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Kind of the recipe; default: a guess.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the recipe; default: after the URL.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=VALUE",
            help="Option of the URL's file system, as anon=true of S3; it may stand there again.",
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--start-from",
            metavar="URL",
            help="Weights that a network of pictures starts from: a safetensors file of a ResNet.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default: NAME.yaml here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at data and draft a recipe that runs: what was guessed stands in it as comments.

    Nothing is trained, and nothing of the data is changed. Exit status: 0 drafted, 2 not.
    """
    if name is not None and not re.fullmatch(_NAME, name):
        raise fail(
            f"--name ({name!r}) must be a letter, then at most 47 of a-z, 0-9 and '-'; write e.g. "
            "--name pumps",
            EXIT_USAGE,
        )
    from flows.drafting import NoDraft, draft_recipe

    try:
        options = parse_settings(option or [], "--option", "anon=true")
        drafted = draft_recipe(url, target, kind, name, options, start_from)
    except NoDraft as error:
        raise fail(str(error), EXIT_USAGE) from error
    path = out if out is not None else Path(f"{drafted.draft.name}.yaml")
    _write(path, drafted.text)
    _say_guesses(drafted.draft, path)
    guesses = [
        {"what": each.what, "value": each.value, "confidence": each.confidence, "why": each.why}
        for each in drafted.draft.guesses
    ]
    fields = {"recipe": str(path), "kind": drafted.draft.kind, "guesses": guesses}
    answer(fields, str(path), as_json)


def _write(path: Path, text: str) -> None:
    """Write a new file: one that is there may hold a person's edits."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise fail(
            f"recipe ({path}) must be a new file; got one that is there; remove it, or give "
            "another by --out or --name",
            EXIT_USAGE,
        ) from error
    except OSError as error:
        raise fail(
            f"recipe ({path}) must be a file that can be written; got: {error.strerror}; give "
            "another by --out",
            EXIT_USAGE,
        ) from error


def _say_guesses(draft: "Draft", path: Path) -> None:
    unknown = [guess for guess in draft.guesses if guess.confidence == "unknown"]
    for guess in draft.guesses:
        if guess not in unknown:
            say(f"{guess.confidence:<8} {guess.what}: {guess.value}", _STYLES.get(guess.confidence))
            say(f"         {guess.why}", "dim")
    for guess in unknown:
        say(f"unknown  {guess.what}: {guess.value}\n         {guess.why}", "bold yellow")
    say(f"wrote {path}: {draft.kind}; next: lepton check {path}, then lepton run {path}", "green")
