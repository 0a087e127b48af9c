"""Uplink batches: what a device sends back, as one signed safetensors file.

    <workspace>/uplinks/<id>/<first>-<last>-<sha256>.safetensors

The file's `__metadata__` holds `device`, `header` (canonical JSON: who, which range of sequence
numbers, the records) and `signature`: ed25519 over the sha256 of the header and of each tensor's
name, dtype, shape and bytes. Tensor `inputs` holds the raw samples of the answers, in their order;
`times`, of series, when the rows of each sample were, in seconds since 1970.

Sequence numbers count every answer of a device, and every truth that it was told. The ranges of its
batches follow each other without gaps; the records inside are those that it kept.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from deployments.targets.errors import DeviceRefused, UplinkRefused
from deployments.targets.trust.devices import DeviceRecord, read_device
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner
from deployments.targets.trust.sealed import is_signature
from deployments.targets.trust.tensors import (
    MAX_FILE_BYTES,
    REMEDY,
    BatchFile,
    digest_tensors,
    pack_tensors,
    unpack_tensors,
)
from deployments.targets.trust.uplink_records import (
    BatchName,
    Header,
    UplinkBatch,
    UplinkRecord,
    parse_name,
)
from storage.base.errors import StorageError
from storage.base.store import Store, canonical_json, sha256_bytes

__all__ = [
    "UPLINKS",
    "BatchName",
    "UplinkBatch",
    "UplinkRecord",
    "accept_batch",
    "name_batch",
    "open_batch",
    "pack_batch",
    "parse_name",
    "read_batch",
]

UPLINKS = "uplinks"
INPUTS, TIMES = "inputs", "times"
Array = NDArray[Any]


def pack_batch(batch: UplinkBatch, signer: ReceiptSigner) -> bytes:
    """Return a batch's file; the same batch and key make the same bytes.

    Raises:
        UplinkRefused: What it says of itself is not so.
    """
    header = _write_header(batch)
    _check_rows(batch)
    tensors = {} if batch.model_id is None else {INPUTS: batch.inputs}
    if batch.times is not None:
        tensors[TIMES] = batch.times
    signature = signer.sign(digest_tensors(header, tensors))["signature"]
    metadata = {"device": batch.device, "header": header.decode(), "signature": signature}
    return pack_tensors(metadata, tensors)


def open_batch(data: bytes, device: DeviceRecord) -> UplinkBatch:
    """Opens a batch's file, after its signature was found to be the device's.

    Raises:
        DeviceRefused: The device was revoked.
        UplinkRefused: The bytes are no batch, of another device, or not what it signed.
    """
    return _open(unpack_tensors(data), device)


def name_batch(batch: UplinkBatch, data: bytes) -> str:
    """Return the name of a batch's file below `uplinks`."""
    return f"{batch.device}/{batch.first}-{batch.last}-{sha256_bytes(data)}.safetensors"


def read_batch(workspace: Store, name: str, ring: KeyRing | None = None) -> UplinkBatch:
    """Reads a batch that lies below a workspace's `uplinks`.

    Args:
        workspace: The workspace.
        name: The file's name below `uplinks`: `<id>/<first>-<last>-<sha256>.safetensors`.
        ring: The keys that are trusted; None: those of the config directory.

    Raises:
        DeviceRefused: Its device is unknown or revoked.
        UplinkRefused: It cannot be trusted, or is not what its name says.
        StorageError: The workspace cannot be read.
    """
    stated = parse_name(name)
    if stated is None:
        raise UplinkRefused(f"uplink ({name}) must be named as a batch; got another name; {REMEDY}")
    device = read_device(workspace, stated.device, ring)
    path = f"{UPLINKS}/{name}"
    if (size_bytes := workspace.size(path)) > MAX_FILE_BYTES:
        raise UplinkRefused(
            f"uplink ({name}) must be at most {MAX_FILE_BYTES} bytes; got {size_bytes}; {REMEDY}"
        )
    data = workspace.read(path)
    batch = open_batch(data, device)
    if name_batch(batch, data) != name:
        raise UplinkRefused(
            f"uplink ({name}) must be what its name says; got {name_batch(batch, data)}; {REMEDY}"
        )
    return batch


def accept_batch(workspace: Store, data: bytes, ring: KeyRing | None = None) -> tuple[int, int]:
    """Takes a batch into a workspace after it was verified; taking it again changes nothing.

    Args:
        workspace: The workspace.
        data: The batch's file.
        ring: The keys that are trusted; None: those of the config directory.

    Returns:
        First and last number of its range.

    Raises:
        DeviceRefused: Its device is unknown or revoked.
        UplinkRefused: It cannot be trusted.
        StorageError: The workspace cannot be read or written.
    """
    file = unpack_tensors(data)
    device = read_device(workspace, file.metadata.get("device", ""), ring)
    batch = _open(file, device)
    workspace.put_if_absent(f"{UPLINKS}/{name_batch(batch, data)}", data)
    return batch.first, batch.last


def _open(file: BatchFile, device: DeviceRecord) -> UplinkBatch:
    if device.revoked_at is not None:
        raise DeviceRefused(
            f"device ({device.id}) must not be revoked; got one that was, at "
            f"{device.revoked_at:%Y-%m-%d %H:%M} UTC; enrol it again under another id"
        )
    if set(file.metadata) != {"device", "header", "signature"}:
        raise UplinkRefused(
            "uplink must state its device, header and signature; got "
            f"{', '.join(sorted(file.metadata))[:100]}; {REMEDY}"
        )
    header = file.metadata["header"].encode()
    digest = digest_tensors(header, file.tensors)
    if not is_signature(digest, file.metadata["signature"], bytes.fromhex(device.public)):
        raise UplinkRefused(
            f"uplink must be signed by device {device.id}; got one that was altered, or is "
            f"another's; {REMEDY}"
        )
    # Only from here on it is looked at what the batch says.
    batch = _read_header(header, file.tensors)
    if not batch.device == file.metadata["device"] == device.id:
        raise UplinkRefused(
            f"uplink must be of device {device.id}; got one of {batch.device}; {REMEDY}"
        )
    return replace(batch, entities=device.entities)


def _read_header(data: bytes, tensors: dict[str, Array]) -> UplinkBatch:
    try:
        header = Header.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UplinkRefused(
            f"uplink's header must follow format 1; got {where}: {fault['msg']}; {REMEDY}"
        ) from error
    batch = UplinkBatch(
        device=header.device,
        first=header.first,
        last=header.last,
        model_id=header.model_id,
        records=header.records,
        inputs=tensors.get(INPUTS, np.zeros(0, np.float32)),
        times=tensors.get(TIMES),
    )
    if not set(tensors) <= {INPUTS, TIMES}:
        raise UplinkRefused(f"uplink must hold inputs and times; got others; {REMEDY}")
    _check_rows(batch)
    return batch


def _write_header(batch: UplinkBatch) -> bytes:
    try:
        header = Header(
            device=batch.device,
            first=batch.first,
            last=batch.last,
            model_id=batch.model_id,
            records=batch.records,
        )
        return canonical_json(header.model_dump(mode="json"))
    except (ValidationError, StorageError) as error:
        raise UplinkRefused(f"uplink must be in order; got {error}; {REMEDY}") from error


def _check_rows(batch: UplinkBatch) -> None:
    answers = sum(record.kind == "answer" for record in batch.records)
    if len(batch.inputs) != answers:
        raise UplinkRefused(
            f"uplink must hold one input for each of {answers} answers; got {len(batch.inputs)}; "
            f"{REMEDY}"
        )
    times = batch.times
    if times is not None and (times.ndim != 2 or len(times) != answers or times.dtype != "<f8"):
        raise UplinkRefused(
            f"uplink must hold the times of {answers} answers as float64; got {times.dtype} "
            f"{times.shape}; {REMEDY}"
        )
