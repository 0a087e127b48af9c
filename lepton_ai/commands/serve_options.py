"""Options of both `lepton serve` and `lepton edge run`: who may ask, and what is kept."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_PROTECTION = "Protection"


class Level(StrEnum):
    """How much is kept of what is asked."""

    OFF = "off"
    METADATA = "metadata"
    FULL = "full"


ApiKeys = Annotated[
    Path | None,
    typer.Option(
        help="Folder of API keys; that of `lepton keys api` if it is there.",
        rich_help_panel=_PROTECTION,
    ),
]
TlsCertificate = Annotated[
    Path | None,
    typer.Option(
        help="PEM file; it is looked at again as it is renewed.", rich_help_panel=_PROTECTION
    ),
]
TlsKey = Annotated[
    Path | None, typer.Option(help="PEM file, if not the same.", rich_help_panel=_PROTECTION)
]
OpenToAll = Annotated[
    bool | None,
    typer.Option(
        "--open-to-all",
        help="Answer everybody who reaches it, without a key.",
        rich_help_panel=_PROTECTION,
    ),
]
