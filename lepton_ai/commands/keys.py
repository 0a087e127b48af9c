"""`lepton keys`: how a device comes to trust a publisher, and how a publisher moves."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.trust.key_bundles import export_keys, import_keys
from lepton_ai.commands.common import say, translate_errors

app = typer.Typer(no_args_is_help=True)


@app.command("export")
@translate_errors
def export(
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    private: Annotated[
        bool, typer.Option("--private", help="With the private keys: for another publisher.")
    ] = False,
) -> None:
    """Write what a device needs to trust this machine's channels."""
    bundle = export_keys(file, private=private)
    half = "public and PRIVATE keys" if private else "public keys only"
    say(
        f"wrote {file}: {len(bundle.channels)} channels, {len(bundle.trusted)} receipt keys "
        f"({half})"
    )


@app.command("import")
@translate_errors
def import_(
    file: Annotated[Path, typer.Argument(help="File that `lepton keys export` wrote.")],
) -> None:
    """Trust the channels and receipt keys in a file."""
    bundle = import_keys(file)
    say(
        f"trusted {len(bundle.channels)} channels and {len(bundle.trusted)} receipt keys from "
        f"{file}"
    )
