"""`lepton measure`: what a release's candidates cost on this device, signed by it."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.edge.state import StateFolder
from deployments.targets.edge.uplinks import open_uplink
from deployments.targets.follow.client import ChannelClient
from deployments.targets.run.device_figures import (
    DeviceFigures,
    find_threads,
    measure_candidates,
    name_figures,
    seal_figures,
)
from deployments.targets.trust.address import find_workspace
from deployments.targets.trust.devices import check_device_class
from deployments.targets.trust.rollout import Taker
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_FAILED,
    AsJson,
    Workspace,
    answer,
    fail,
    say,
    translate_errors,
)
from lepton_ai.commands.edge import DeviceClass, Id, State
from lepton_ai.commands.export import Channel


@translate_errors
def measure(
    channel: Channel,
    id: Id,
    state: State,
    device_class: DeviceClass = "default",
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Threads; default: what the recipe says of the class."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write, for `lepton devices figures`.")
    ] = None,
    uplink: Annotated[
        str | None,
        typer.Option(
            "--uplink", help="A workspace's `uplinks` folder at any URL, or an endpoint's /uplink."
        ),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Measure a release's candidates on this device, and send the figures back, signed by it.

    The channel is followed and verified; candidates that it does not offer are read from the
    workspace where that is in reach. The next release for the device's class goes by the figures.
    """
    taker = Taker(id, check_device_class(device_class))
    folder = StateFolder(state)
    signer = folder.enrol(id)
    client = ChannelClient(channel, workspace, cache=folder.cache, taker=taker)
    update = client.update()
    if update.status == "refused":
        say(f"warning: {update.reason}", "yellow")
    model = update.model
    told = find_threads(model.receipt, model.release.channel, device_class)
    asked = threads or told
    if asked != told:
        say(f"warning: figures in {asked} threads; releases go by those in {told}", "yellow")
    where = find_workspace(client.location, workspace)
    figures = measure_candidates(model, where, id, asked)
    _hand_over(seal_figures(figures, signer), id, to, uplink)
    answer(figures.model_dump(mode="json"), tell_figures(figures), as_json)
    if not figures.artifacts:
        raise typer.Exit(EXIT_FAILED)


def _hand_over(data: bytes, device: str, to: Path | None, uplink: str | None) -> None:
    """Writes signed figures to a file, and sends them."""
    if to is not None:
        _write(to, data)
    if uplink is not None:
        open_uplink(uplink).send(name_figures(device, data), data)
        say(f"sent to {open_uplink(uplink).display}")
    if to is None and uplink is None:
        say("warning: the figures were sent nowhere; give --uplink or --to", "yellow")


def _write(to: Path, data: bytes) -> None:
    try:
        to.write_bytes(data)
    except OSError as error:
        raise fail(
            f"file ({to}) must be one that can be written; got {error.strerror}; name another"
        ) from error
    say(f"wrote {to}")


def tell_figures(figures: DeviceFigures) -> str:
    """Return figures as lines, one a candidate."""
    lines = [
        f"{each.name:<16} p50 {each.measured.latency_ms_p50:.3g} ms  p99 "
        f"{each.measured.latency_ms_p99 or float('nan'):.3g} ms  {each.measured.size_bytes:,} bytes"
        for each in figures.artifacts
    ]
    lines += [f"{name:<16} not measured: {why}" for name, why in figures.absent.items()]
    return "\n".join(lines)
