"""Options that the commands on channels share, and how they are read."""

import re
from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.trust.key_records import ROLES, Role
from lepton_ai.commands.common import EXIT_USAGE, fail
from lepton_ai.commands.deciding import parse_words
from storage.base.store import redact

Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel in the workspace.")]
_WHY = "Why; it is signed and shown to everybody."
Reason = Annotated[str, typer.Option("--reason", callback=parse_words, help=_WHY)]
Needed = Annotated[str, typer.Option("--reason", prompt=True, callback=parse_words, help=_WHY)]
Keys = Annotated[
    list[Path] | None,
    typer.Option("--keys", help="Key file, such as an offline root's; may be repeated."),
]
Off = Annotated[bool, typer.Option("--off", help="Lift it.")]


def parse_role(text: str) -> Role:
    """Return the role of that name; another one is bad usage."""
    for role in ROLES:
        if role == text:
            return role
    raise fail(f"role ({redact(text)}) must be one of {', '.join(ROLES)}; name one", EXIT_USAGE)


def parse_shape(texts: list[str]) -> dict[Role, tuple[int, int]]:
    """Reads `["root=2/3"]` as {"root": (2, 3)}."""
    shape = {}
    for text in texts:
        match = re.fullmatch(r"([a-z]+)=([1-9]\d?)/([1-9]\d?)", text)
        if match is None or int(match[2]) > int(match[3]):
            raise fail(
                f"--role ({redact(text)}) must be ROLE=K/N with K of N; write e.g. root=2/3",
                EXIT_USAGE,
            )
        shape[parse_role(match[1])] = (int(match[2]), int(match[3]))
    return shape
