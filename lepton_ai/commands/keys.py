"""`lepton keys`: how a device comes to trust a publisher, and how a publisher moves."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.publish.channel import open_channel
from deployments.targets.publish.repository import load_state
from deployments.targets.trust.commands import describe_command
from deployments.targets.trust.key_bundles import export_keys, import_keys
from deployments.targets.trust.key_files import read_public
from deployments.targets.trust.key_records import KeyBundle
from deployments.targets.trust.key_vault import back_up_keys, read_bundle, restore_keys, split_keys
from deployments.targets.trust.keys import KeyRing
from lepton_ai.commands import api_keys
from lepton_ai.commands.channel_options import Name, parse_role
from lepton_ai.commands.common import DEFAULT_WORKSPACE, Workspace, say, translate_errors

app = typer.Typer(no_args_is_help=True)
app.add_typer(api_keys.app, name="api", help="Make and drop the keys that endpoints ask for.")
PASSPHRASE_VARIABLE = "LEPTON_PASSPHRASE"  # noqa: S105


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
    commands: Annotated[
        bool,
        typer.Option("--commands", help="With programs that sign: this machine will run them."),
    ] = False,
) -> None:
    """Trust the channels and receipt keys in a file."""
    bundle = import_keys(file, commands=commands)
    say(
        f"trusted {len(bundle.channels)} channels and {len(bundle.trusted)} receipt keys from "
        f"{file}"
    )


@app.command("backup")
@translate_errors
def backup(file: Annotated[Path, typer.Argument(help="New file to write.")]) -> None:
    """Write all keys of this machine to an encrypted file, and read it back."""
    bundle = back_up_keys(file, _ask_new())
    say(f"wrote {file}: {_count(bundle)}; it was read back, and holds PRIVATE keys, encrypted")


@app.command("restore")
@translate_errors
def restore(
    file: Annotated[Path, typer.Argument(help="File that `lepton keys backup` wrote.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only open it, and load every key.")
    ] = False,
) -> None:
    """Take over the keys of a backup; a private key that is here stays."""
    bundle = restore_keys(file, ask_passphrase, dry_run=check)
    say(f"{'checked' if check else 'restored'} {file}: {_count(bundle)}")


@app.command("split")
@translate_errors
def split(
    channel: Name,
    into: Annotated[Path, typer.Option("--into", help="Folder, such as a removable disk.")],
    role: Annotated[str, typer.Option(help="root, targets, snapshot or timestamp.")] = "root",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Move a role's keys off this machine, each to an encrypted file: give them with --keys."""
    named, opened = parse_role(role), open_channel(workspace, channel)
    for path in split_keys(load_state(opened).channel_id, named, into, _ask_new()):
        say(f"moved to {path}")


@app.command("receipts")
@translate_errors
def receipts(
    command: Annotated[
        str, typer.Option(help="Program that signs: standard input to a signature in hexadecimal.")
    ],
    public: Annotated[Path, typer.Option(help="PEM file of its public key, an Ed25519 one.")],
) -> None:
    """Let a program sign this machine's receipts and records; the key's file here is removed."""
    text = describe_command(command, read_public(public) or b"")
    signer = KeyRing().sign_receipts_by(text)
    say(f"receipts are signed by {signer.keyid[:12]}, which {shlex.split(command)[0]} holds")


def open_ring(files: Sequence[Path] | None) -> KeyRing:
    """Return this machine's keys, with those of files on top."""
    ring = KeyRing()
    return ring.with_bundles([read_bundle(file, ask_passphrase) for file in files or ()])


def ask_passphrase() -> str:
    """Return the passphrase that the environment holds, else ask for it."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    return given if given else str(typer.prompt("Passphrase", hide_input=True, err=True))


def _ask_new() -> str:
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given
    prompt = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return str(prompt)


def _count(bundle: KeyBundle) -> str:
    held = 0 if bundle.private is None else sum(map(len, bundle.private.channels.values()))
    return (
        f"{len(bundle.channels)} channels, {len(bundle.trusted)} receipt keys, {held} channel keys"
    )
