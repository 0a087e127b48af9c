"""Devices that may send to a workspace: enrolled by hand, revoked for good.

    <workspace>/devices/<id>.json    one sealed record a device, signed by the machine that added it

A device makes its own key and shows an enrolment code, which holds its id and public key and is
signed by that key. Whoever may write to the workspace adds the code. Private keys stay on devices.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from deployments.targets.errors import DeviceRefused, NotCleared
from deployments.targets.specs import NAME_PATTERN, ClassName
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner
from deployments.targets.trust.sealed import is_signature, open_sealed, seal_body
from storage.base.documents import leave_out_defaults
from storage.base.errors import NotFound
from storage.base.store import Store, canonical_json, redact

DEVICES = "devices"
MAX_ENTITY_CHARS = 200
_ID = re.compile(NAME_PATTERN)
_CODE = re.compile(r"^lepton-device-1\.([A-Za-z0-9_-]{1,400})\.([A-Za-z0-9_-]{86})$")
_CODE_PREFIX = "lepton-device-1"

DeviceId = Annotated[str, Field(pattern=NAME_PATTERN)]


class DeviceRecord(BaseModel):
    """A device that was enrolled.

    Attributes:
        format: Version of this record.
        id: The device's id, unique in the workspace for good.
        public: Its raw ed25519 public key, 32 bytes in hexadecimal.
        device_class: The class that it belongs to.
        group: The group that it belongs to; None for none.
        entities: Entities of whose series it may tell, beside the one that it is named after.
        enrolled_at: When it was added.
        enrolled_by: Id of the receipt key of the machine that added it.
        revoked_at: When it was revoked; None: it may send.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: DeviceId
    public: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    device_class: ClassName
    group: ClassName | None = None
    entities: tuple[str, ...] = ()
    enrolled_at: datetime
    enrolled_by: str
    revoked_at: datetime | None = None

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out entities where there are none, so that the record is that of an older one."""
        return leave_out_defaults(self, handler(self), set(type(self).model_fields) - {"entities"})


def check_device_id(device: str) -> str:
    """Return a device's id if it can be one.

    Raises:
        DeviceRefused: It cannot.
    """
    return _check_name(device, "device id")


def check_device_class(name: str) -> str:
    """Return the name of a device class if it can be one.

    Raises:
        DeviceRefused: It cannot.
    """
    return _check_name(name, "device class")


def make_code(device: str, signer: ReceiptSigner) -> str:
    """Return the enrolment code of a device: its id and public key, signed by that key.

    Raises:
        DeviceRefused: The id cannot be a device's.
    """
    body = canonical_json({"id": check_device_id(device), "public": signer.public})
    signature = bytes.fromhex(signer.sign(_CODE_PREFIX.encode() + body)["signature"])
    return ".".join((_CODE_PREFIX, _to_text(body), _to_text(signature)))


def parse_code(code: str) -> tuple[str, str]:
    """Return the id and the public key, in hexadecimal, that an enrolment code holds.

    Raises:
        DeviceRefused: It is none, or a letter of it is wrong.
    """
    remedy = "copy the last line that `lepton edge enroll` printed"
    match = _CODE.match(code.strip())
    if match is None:
        raise DeviceRefused(
            f"enrolment code must begin with {_CODE_PREFIX}; got {redact(code.strip())[:40]!r}; "
            f"{remedy}"
        )
    try:
        body, signature = (base64.urlsafe_b64decode(part + "==") for part in match.groups())
        document = _Code.model_validate_json(body)
    except (binascii.Error, ValueError) as error:
        raise DeviceRefused(
            f"enrolment code must hold an id and a public key; got others; {remedy}"
        ) from error
    signed = is_signature(
        _CODE_PREFIX.encode() + body, signature.hex(), bytes.fromhex(document.public)
    )
    if not signed:
        raise DeviceRefused(
            f"enrolment code must be signed by the key that it holds; got another text; {remedy}"
        )
    return document.id, document.public


def add_device(
    workspace: Store,
    code: str,
    *,
    device_class: str,
    group: str | None = None,
    entities: Sequence[str] = (),
    ring: KeyRing | None = None,
) -> DeviceRecord:
    """Enrols a device; adding the same code again changes its class, group and entities only.

    Args:
        workspace: The workspace.
        code: What `lepton edge enroll` printed.
        device_class: The class that it belongs to.
        group: The group that it belongs to.
        entities: Entities of whose series it may tell, beside the one that it is named after.
        ring: This machine's keys; None: those of the config directory.

    Raises:
        DeviceRefused: The code is none, its id is another's or revoked, or no entity has the name.
        StorageError: The workspace cannot be written.
    """
    device, public = parse_code(code)
    ring = ring or KeyRing()
    signer = ring.receipt_signer()
    record = DeviceRecord(
        id=device,
        public=public,
        device_class=check_device_class(device_class),
        group=None if group is None else _check_name(group, "group"),
        entities=_check_entities(entities),
        enrolled_at=datetime.now(UTC),
        enrolled_by=signer.keyid,
    )
    if workspace.put_if_absent(_place(device), _seal(record, signer)):
        return record
    present = read_device(workspace, device, ring)
    if present.revoked_at is not None or present.public != public:
        found = "one that was revoked" if present.revoked_at else "one that has another key"
        raise DeviceRefused(
            f"device ({device}) must be a new one; got {found}; enrol it under another id"
        )
    changed = present.model_copy(
        update={"device_class": device_class, "group": group, "entities": record.entities}
    )
    if changed != present:
        workspace.write(_place(device), _seal(changed, signer))
    return changed


def read_device(workspace: Store, device: str, ring: KeyRing | None = None) -> DeviceRecord:
    """Reads a device's record; a revoked one is read, too.

    Args:
        workspace: The workspace.
        device: The device's id.
        ring: The keys that are trusted; None: those of the config directory.

    Raises:
        DeviceRefused: There is none, or no trusted key signed it.
        StorageError: The workspace cannot be read.
    """
    try:
        data = workspace.read(_place(check_device_id(device)))
    except NotFound as error:
        raise DeviceRefused(
            f"device ({device}) must be enrolled in the workspace; got none of that id; add its "
            "code with `lepton devices add`"
        ) from error
    return _open(data, device, (ring or KeyRing()).trusted_receipt_keys())


def list_device_ids(workspace: Store) -> list[str]:
    """List the ids of all devices, sorted, the revoked ones too."""
    names = (name.removesuffix(".json") for name in workspace.listdir(DEVICES))
    return sorted(name for name in names if _ID.fullmatch(name))


def list_devices(workspace: Store, ring: KeyRing | None = None) -> list[DeviceRecord]:
    """List all devices, the revoked ones too.

    Raises:
        DeviceRefused: The record of one cannot be trusted.
    """
    ring = ring or KeyRing()
    return [read_device(workspace, device, ring) for device in list_device_ids(workspace)]


def revoke_device(workspace: Store, device: str, ring: KeyRing | None = None) -> DeviceRecord:
    """Revokes a device: nothing that it sent and that was not yet read is taken any more.

    Its record stays. Revoking it again changes nothing.

    Raises:
        DeviceRefused: There is none, or no trusted key signed its record.
        StorageError: The workspace cannot be written.
    """
    ring = ring or KeyRing()
    present = read_device(workspace, device, ring)
    if present.revoked_at is not None:
        return present
    revoked = present.model_copy(update={"revoked_at": datetime.now(UTC)})
    workspace.write(_place(device), _seal(revoked, ring.receipt_signer()))
    return revoked


class _Code(BaseModel):
    """What an enrolment code holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: DeviceId
    public: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_REMEDY: Final = "import the public key of the machine that enrolled it with `lepton keys import`"


def _open(data: bytes, device: str, trusted: dict[str, bytes]) -> DeviceRecord:
    what = f"record of device {device}"
    try:
        record = DeviceRecord.model_validate(open_sealed(data, trusted, what, remedy=_REMEDY))
    except NotCleared as error:
        raise DeviceRefused(str(error)) from error
    except ValidationError as error:
        raise DeviceRefused(
            f"{what} must follow format 1; got {error.errors()[0]['msg']}; read it with the Lepton "
            "that wrote it"
        ) from error
    if record.id != device:
        raise DeviceRefused(
            f"{what} must be its own; got that of {record.id}; restore the file from a copy"
        )
    return record


def _seal(record: DeviceRecord, signer: ReceiptSigner) -> bytes:
    return seal_body(record.model_dump(mode="json"), signer)


def _place(device: str) -> str:
    return f"{DEVICES}/{device}.json"


def _check_name(name: str, what: str) -> str:
    if _ID.fullmatch(name) is None:
        raise DeviceRefused(
            f"{what} ({redact(name)}) must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning "
            "with a letter or digit; got another; choose one"
        )
    return name


def _check_entities(names: Sequence[str]) -> tuple[str, ...]:
    if wrong := [name for name in names if not 1 <= len(name) <= MAX_ENTITY_CHARS]:
        raise DeviceRefused(
            f"entity ({redact(wrong[0])[:40]!r}) must have 1 to {MAX_ENTITY_CHARS} characters; got "
            f"{len(wrong[0])}; write it as the column of the entity does"
        )
    return tuple(sorted(set(names)))


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
