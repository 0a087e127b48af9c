"""What candidates cost on a device, measured there and signed by it.

    <workspace>/uplinks/<id>/measured-<sha256>.json    sealed by the device's key

The device follows a channel, verified; the receipt that cleared its release names the digest of
every candidate of the run. Whose bytes can be read, from the release or from the workspace's
`models`, and have that digest, is measured. The next release of a channel for the device's class
goes by these figures.
"""

import json
import os
import platform
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import BadArtifact, NotCleared, UplinkRefused
from deployments.targets.follow.client import VerifiedModel
from deployments.targets.run.measure import Measurement, measure_artifact
from deployments.targets.trust.card import FileName, Sha256
from deployments.targets.trust.devices import DeviceId, DeviceRecord, read_device
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner
from deployments.targets.trust.sealed import MAX_SEALED_BYTES, open_sealed, seal_body
from storage.base.errors import StorageError
from storage.base.store import Store, sha256_bytes

MODELS: Final = "models"
UPLINKS: Final = "uplinks"
_NAME = re.compile(r"^(?P<device>[^/]+)/measured-(?P<sha256>[0-9a-f]{64})\.json$")
_REMEDY: Final = "measure again with `lepton measure` on the device"
MOST_CANDIDATES = 64


class _Listed(BaseModel):
    """A candidate, as the receipt lists it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(max_length=63)
    file: FileName
    sha256: Sha256


class ArtifactFigures(BaseModel):
    """What one candidate costs on the device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=63)
    measured: Measurement


class DeviceFigures(BaseModel):
    """What the candidates of one release cost on a device.

    Attributes:
        format: Version of this record.
        device: The device's id.
        at: When they were measured.
        channel: The channel that it followed.
        release: Number of its release.
        model_id: Identity of the model.
        receipt: sha256 of the receipt that cleared it and lists the candidates.
        threads: Threads that were computed in.
        machine: What measured, in words.
        artifacts: One entry a candidate that could be measured.
        absent: Why others could not, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    device: DeviceId
    at: AwareDatetime
    channel: str
    release: int
    model_id: Sha256
    receipt: Sha256
    threads: int
    machine: dict[str, str | int | None] = {}
    artifacts: tuple[ArtifactFigures, ...] = Field(max_length=MOST_CANDIDATES)
    absent: dict[str, str] = {}


def measure_candidates(
    model: VerifiedModel, workspace: Store | None, device: str, threads: int
) -> DeviceFigures:
    """Measures the candidates of a release on this machine.

    Args:
        model: The verified model that the channel offers this device.
        workspace: Where the other candidates lie; None: only what the channel offers is measured.
        device: The device's id.
        threads: Threads of the runtime.
    """
    body = read_body(model.receipt)
    found: list[ArtifactFigures] = []
    absent: dict[str, str] = {}
    for listed in _list_candidates(body):
        try:
            content = _read_candidate(listed, model, workspace)
            card = model.card
            measured = measure_artifact(content, card.input, card.outputs, threads=threads)
            found.append(ArtifactFigures(name=listed.name, measured=measured))
        except (BadArtifact, StorageError) as error:
            absent[listed.name] = str(error)
    return DeviceFigures(
        device=device,
        at=datetime.now(UTC),
        channel=model.release.channel,
        release=model.release.number,
        model_id=model.card.model_id,
        receipt=sha256_bytes(model.receipt),
        threads=threads,
        machine=describe_machine(),
        artifacts=tuple(found),
        absent=absent,
    )


def read_body(receipt: bytes) -> dict[str, Any]:
    """Return what a receipt says that was verified before."""
    body: dict[str, Any] = json.loads(receipt)["signed"]
    return body


def find_threads(receipt: bytes, channel: str, device_class: str) -> int:
    """Return the threads that a release's recipe says of a class of devices; 1 where none.

    What the channel's target says comes before what the class says.

    Args:
        receipt: The verified receipt.
        channel: Name of the channel.
        device_class: Name of the class.
    """
    document = read_body(receipt)["recipe"].get("document", {})
    for section, name in (("targets", channel), ("device_classes", device_class)):
        threads = ((document.get(section) or {}).get(name) or {}).get("threads")
        if isinstance(threads, int) and 1 <= threads <= 256:
            return threads
    return 1


def describe_machine() -> dict[str, str | int | None]:
    """Return what this machine is: its system, processor and number of processors."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "processors": os.cpu_count(),
    }


def name_figures(device: str, data: bytes) -> str:
    """Return the name of a device's figures below `uplinks`."""
    return f"{device}/measured-{sha256_bytes(data)}.json"


def is_figures_file(name: str) -> bool:
    """Return whether a file below `uplinks` is one of figures, by its name."""
    return _NAME.fullmatch(name) is not None


def is_sealed(data: bytes) -> bool:
    """Return whether sent bytes are a sealed record: as a batch's header they would be too long."""
    return data.startswith(b'{"signatures"')


def seal_figures(figures: DeviceFigures, signer: ReceiptSigner) -> bytes:
    """Return the file of a device's figures, signed by its key."""
    return seal_body(figures.model_dump(mode="json"), signer)


def open_figures(
    data: bytes, workspace: Store, ring: KeyRing | None = None
) -> tuple[DeviceFigures, DeviceRecord]:
    """Opens a file of figures, after its signature was found to be that of an enrolled device.

    Args:
        data: The file's bytes.
        workspace: Where devices are enrolled.
        ring: The keys that are trusted; None: those of the config directory.

    Raises:
        DeviceRefused: Its device is unknown.
        UplinkRefused: It cannot be trusted, or its device was revoked.
    """
    what = "figures of a device"
    try:
        stated = read_claimed(data)
        device = read_device(workspace, stated, ring)
        public = bytes.fromhex(device.public)
        body = open_sealed(data, {sha256_bytes(public): public}, what, remedy=_REMEDY)
        figures = DeviceFigures.model_validate(body)
    except NotCleared as error:
        raise UplinkRefused(str(error)) from error
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]["msg"]
        raise UplinkRefused(f"{what} must follow format 1; got {fault}; {_REMEDY}") from error
    if figures.device != device.id or device.revoked_at is not None:
        got = "one that was revoked" if device.revoked_at is not None else "another's"
        raise UplinkRefused(f"{what} must be those of device {device.id}; got {got}; {_REMEDY}")
    return figures, device


def read_claimed(data: bytes) -> str:
    """Return whose a file of figures says that it is, before anything of it is trusted.

    Raises:
        UplinkRefused: It is no such file.
    """
    try:
        body = json.loads(data[: MAX_SEALED_BYTES + 1])["signed"]
        return str(body["device"])
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise UplinkRefused(
            f"figures of a device must be what `lepton measure` wrote; got another file; {_REMEDY}"
        ) from error


def accept_figures(workspace: Store, data: bytes, ring: KeyRing | None = None) -> DeviceFigures:
    """Takes figures into a workspace after they were verified; again changes nothing.

    Raises:
        TargetError: As `open_figures`.
        StorageError: The workspace cannot be read or written.
    """
    figures, device = open_figures(data, workspace, ring)
    workspace.put_if_absent(f"{UPLINKS}/{name_figures(device.id, data)}", data)
    return figures


def _list_candidates(body: dict[str, Any]) -> list[_Listed]:
    return [_Listed.model_validate(entry) for entry in body["artifacts"][:MOST_CANDIDATES]]


def _read_candidate(listed: _Listed, model: VerifiedModel, workspace: Store | None) -> bytes:
    """Return the bytes of a candidate that have the digest that the receipt signs.

    Raises:
        BadArtifact: They cannot be had, or are others.
        StorageError: The workspace cannot be read.
    """
    if listed.sha256 == model.release.sha256:
        return model.data
    if workspace is None:
        raise BadArtifact(
            f"artifact ({listed.file}) must be in reach; got a channel without its workspace; give "
            "--workspace"
        )
    path = f"{MODELS}/{model.card.model_id}/{listed.file}"
    files = read_body(model.receipt)["model"]["files"]
    size_bytes = workspace.size(path)
    stated = files.get(listed.file, {}).get("size_bytes")
    content = workspace.read(path) if size_bytes == stated else b""
    if sha256_bytes(content) != listed.sha256:
        raise BadArtifact(
            f"artifact ({listed.file}) must be the bytes that the receipt names; got others; "
            "restore the file from a copy"
        )
    return content
