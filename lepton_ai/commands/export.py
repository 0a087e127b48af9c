"""`lepton export` and `lepton manifest`: a channel's model for those who run it by other means."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deployments.targets.run.export import list_files, list_layout, write_folder
from deployments.targets.run.live import Runtime
from deployments.targets.run.manifests import WRITERS, Deployment
from deployments.targets.trust.address import locate_channel
from lepton_ai.commands.answering import warn_refused
from lepton_ai.commands.common import DEFAULT_WORKSPACE, Workspace, say, translate_errors

Channel = Annotated[
    str, typer.Argument(help="Channel in the workspace (edge, cloud), or the address of one.")
]


class System(StrEnum):
    """What a manifest can be for; `WRITERS` has one for each."""

    COMPOSE = "compose"
    KSERVE = "kserve"
    SYSTEMD = "systemd"
    TRITON = "triton"


@translate_errors
def export(
    channel: Channel,
    to: Annotated[Path, typer.Option("--to", help="New folder.")],
    oci: Annotated[
        bool, typer.Option("--oci", help="As an OCI image layout, which registries take.")
    ] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Write a channel's verified model as plain files: artifact, card, receipt, notice, example.

    `python example.py` in the folder needs onnxruntime and numpy alone.
    """
    runtime = Runtime(channel, workspace)
    warn_refused(runtime)
    model = runtime.current.verified
    write_folder(list_layout(model) if oci else list_files(model), to)
    say(f"wrote {model.release.title} of channel {model.release.channel} to {to}")


@translate_errors
def manifest(
    system: Annotated[System, typer.Argument(help="What is to run it.")],
    channel: Channel,
    image: Annotated[
        str, typer.Option(help="Container image that holds lepton-ai[serve].")
    ] = "lepton-ai:latest",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it is asked.")] = 8080,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Print what Triton, KServe, Docker Compose or systemd needs to run a channel's model."""
    runtime = Runtime(channel, workspace)
    warn_refused(runtime)
    location = locate_channel(channel, workspace)
    deployment = Deployment(runtime.current, location, image, port)
    sys.stdout.write(WRITERS[system.value](deployment))
