"""`lepton channel`: what an operator decides on a channel, and how it stands."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.publish.channel import create_channel, open_channel
from deployments.targets.publish.channel import refresh as refresh_channel
from deployments.targets.publish.repository import Channel, ChannelState
from deployments.targets.publish.rotation import rotate_key, set_threshold
from deployments.targets.publish.status import HistoryEntry, describe_channel, list_history
from deployments.targets.publish.steering import (
    hold_channel,
    lift_stop,
    pin_release,
    retire_channel,
    roll_back,
    widen_release,
)
from deployments.targets.trust.channel_keys import make_command_key
from deployments.targets.trust.devices import check_device_class
from deployments.targets.trust.key_files import read_public
from deployments.targets.trust.rollout import make_rollout
from lepton_ai.commands.channel_options import (
    Keys,
    Name,
    Needed,
    Off,
    Reason,
    parse_role,
    parse_shape,
)
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    fail,
    say,
    translate_errors,
)
from lepton_ai.commands.deciding import Author, name_author, parse_time
from lepton_ai.commands.keys import open_ring

app = typer.Typer(no_args_is_help=True)


@app.command("init")
@translate_errors
def init(
    channel: Name,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", metavar="ROLE=K/N", help="K of N keys of a role must sign, as in root=2/3."
        ),
    ] = None,
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Make a channel with keys of its own, which stay on this machine; one that exists is kept."""
    made, shape = open_channel(workspace, channel), parse_shape(role or [])
    channel_id = create_channel(made, author=name_author(author), shape=shape)
    for name, kept in describe_channel(made).roles.items():
        if (there := (kept.threshold, len(kept.keyids))) != shape.get(parse_role(name), there):
            raise fail(
                f"channel ({channel}) must be new to have --role {name} of another number; got one "
                f"that exists and has {there[0]} of {there[1]} keys; make another channel"
            )
    say(f"channel {channel}: {channel_id[:12]}, its keys lie in {made.keys.directory}")


@app.command("status")
@translate_errors
def status(
    channel: Name, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Show what a channel offers to whom, whether it is stopped, and when its signatures end."""
    found = describe_channel(open_channel(workspace, channel))
    lines = [f"channel   {found.channel} {found.id[:12]}, snapshot {found.version}"]
    lines += [
        f"release   {each.release.number}  {each.release.artifact} of model "
        f"{each.release.model_id[:12]} for {each.rollout.describe()}"
        for each in found.offers
    ] or ["release   none"]
    if found.stop is not None:
        lines.append(f"stopped   {found.stop.describe()}")
    for name, role in found.roles.items():
        until = "" if role.expires is None else f", signed until {role.expires:%Y-%m-%d}"
        keys = ", ".join(keyid[:12] for keyid in role.keyids)
        lines.append(f"{name:9} {role.threshold} of {len(role.keyids)} keys ({keys}){until}")
    lines.append(f"decisions {found.decisions}, see lepton channel history {channel}")
    answer(found.model_dump(mode="json"), "\n".join(lines), as_json)


@app.command("history")
@translate_errors
def history(
    channel: Name, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Show what was decided on a channel, by whom and why, oldest first; every line is verified."""
    entries = list_history(open_channel(workspace, channel))
    found = {"decisions": [entry.model_dump(mode="json") for entry in entries]}
    answer(found, "\n".join(_show_entry(entry) for entry in entries), as_json)


@app.command("promote")
@translate_errors
def promote(
    channel: Name,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of the devices, canaries first.")
    ] = 1.0,
    not_before: Annotated[
        str | None, typer.Option(help="Earliest time, ISO 8601; without a zone it is UTC.")
    ] = None,
    device_class: Annotated[
        list[str] | None, typer.Option("--class", help="Only this class; may be repeated.")
    ] = None,
    author: Author = None,
    reason: Reason = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Choose whom the newest release reaches: without options, everybody."""
    classes = tuple(check_device_class(name) for name in device_class or ())
    rollout = make_rollout(share, parse_time(not_before, "--not-before"), classes)
    steered = open_channel(workspace, channel)
    _say_release(
        channel, widen_release(steered, rollout, author=name_author(author), reason=reason)
    )


@app.command("rollback")
@translate_errors
def rollback(
    channel: Name,
    reason: Needed,
    to: Annotated[
        int | None, typer.Option(min=1, help="Release; default: the one before the newest.")
    ] = None,
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Offer an earlier release's bytes again, to everybody, as a new release."""
    steered = open_channel(workspace, channel)
    _say_release(channel, roll_back(steered, to, author=name_author(author), reason=reason))


@app.command("pin")
@translate_errors
def pin(
    channel: Name,
    number: Annotated[int | None, typer.Argument(min=1, help="The release.")] = None,
    off: Off = False,
    author: Author = None,
    reason: Reason = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Keep every device at a release, and take no other until that is lifted."""
    if (number is None) != off:
        raise fail("pin must get the number of a release, or --off; give one", EXIT_USAGE)
    steered, who = open_channel(workspace, channel), name_author(author)
    if number is None:
        _say_release(channel, lift_stop(steered, "pin", author=who, reason=reason))
    else:
        _say_release(channel, pin_release(steered, number, author=who, reason=reason))


@app.command("hold")
@translate_errors
def hold(
    channel: Name,
    off: Off = False,
    author: Author = None,
    reason: Reason = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Take no new release, and let none reach more devices, until that is lifted."""
    steered, who = open_channel(workspace, channel), name_author(author)
    act = _lift_hold if off else hold_channel
    _say_release(channel, act(steered, author=who, reason=reason))


@app.command("refresh")
@translate_errors
def refresh(channel: Name, keys: Keys = None, workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """Sign a channel anew before its signatures run out; no release changes."""
    steered = open_channel(workspace, channel, keys=open_ring(keys))
    say(f"channel {channel}: snapshot {refresh_channel(steered)}")


@app.command("rotate-key")
@translate_errors
def rotate(
    channel: Name,
    role: Annotated[str, typer.Argument(help="root, targets, snapshot or timestamp.")],
    reason: Needed,
    old: Annotated[
        str | None, typer.Option(help="Beginning of the id of the key that goes, of several.")
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(help="Program that signs: standard input to a signature in hexadecimal."),
    ] = None,
    public: Annotated[
        Path | None, typer.Option(help="PEM file of the public key of that program.")
    ] = None,
    keys: Keys = None,
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Put a new key in the place of a role's; nothing that the old one signs is accepted then."""
    if (command is None) != (public is None):
        raise fail("rotate-key must get --command and --public together; give both", EXIT_USAGE)
    text = None
    if command is not None and public is not None:
        text, _ = make_command_key(command, read_public(public) or b"")
    steered = open_channel(workspace, channel, keys=open_ring(keys))
    who = name_author(author)
    state = rotate_key(steered, parse_role(role), author=who, reason=reason, old=old, key=text)
    names = ", ".join(keyid[:12] for keyid in state.root.roles[role].keyids)
    say(f"channel {channel}: {role} is signed by {names}, root {state.root.version}")


@app.command("set-threshold")
@translate_errors
def set_number(
    channel: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE=K/N", help="As in root=2/3.")],
    reason: Needed,
    keys: Keys = None,
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Let K of N keys of a role sign from now on; new keys are made here, keys too many go."""
    ((named, (threshold, count)),) = parse_shape([role]).items()
    steered, who = open_channel(workspace, channel, keys=open_ring(keys)), name_author(author)
    state = set_threshold(steered, named, threshold, count, author=who, reason=reason)
    names = ", ".join(keyid[:12] for keyid in state.root.roles[named].keyids)
    say(f"channel {channel}: {threshold} of {names} sign as {named}, root {state.root.version}")


@app.command("retire")
@translate_errors
def retire(
    channel: Name, reason: Needed, author: Author = None, workspace: Workspace = DEFAULT_WORKSPACE
) -> None:
    """End a channel for good: it offers nothing; devices go on with what they have."""
    steered = open_channel(workspace, channel)
    _say_release(channel, retire_channel(steered, author=name_author(author), reason=reason))


def _lift_hold(channel: Channel, *, author: str, reason: str) -> ChannelState:
    return lift_stop(channel, "hold", author=author, reason=reason)


def _say_release(channel: str, state: ChannelState) -> None:
    newest = state.content.offers[0] if state.content.offers else None
    words = "offers nothing"
    if newest is not None:
        words = f"{newest.release.title} for {newest.rollout.describe()}"
    stop = state.content.stop
    say(f"channel {channel}: {words}{f'; {stop.describe()}' if stop is not None else ''}")


def _show_entry(entry: HistoryEntry) -> str:
    release = "" if entry.release is None else f"  {entry.release.title}"
    if entry.decision is None:
        return f"{entry.version:>4}  made before decisions were kept{release}"
    made = entry.decision
    facts = ", ".join(
        f"{name} {str(value)[:40]}" for name, value in made.evidence.items() if name != "model"
    )
    why = f": {made.reason}" if made.reason else ""
    return (
        f"{entry.version:>4}  {made.at}  {made.action} by {made.author}{why}{release}"
        f"{f'  ({facts})' if facts else ''}"
    )
