"""A channel's roots: who may sign what, how many of them must, and how a key takes another's place.

A key is replaced in two roots. The first names the new key beside the old one, so that what is
signed by either verifies; then everything is signed by the new one; the second root drops the old
one, and nothing that it signs is accepted any more. Whoever is killed in between leaves a channel
that verifies, and a root that says what is left to do.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from deployments.targets.errors import ChannelCorrupt, KeyAbsent
from deployments.targets.trust.channel_keys import Held
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.metadata import SignerMap, find_expiry, sign_document
from deployments.targets.trust.offers import FIELD

_ROTATION: Final = "rotation"


class Rotation(BaseModel):
    """A key's replacement that is under way.

    Attributes:
        role: The role.
        old: Id of the key that goes.
        new: Id of the key that comes.
        after: Number of the newest snapshot when it began.
        decision: Who decided it, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    old: str
    new: str
    after: int
    decision: Decision


def build_root(
    channel: str,
    version: int,
    signers: SignerMap,
    now: datetime,
    thresholds: Mapping[Role, int] | None = None,
) -> bytes:
    """Builds a root that names its channel, and its roles' keys.

    Args:
        channel: Name of the channel.
        version: Its number.
        signers: The keys of each role.
        now: The time now, in UTC.
        thresholds: How many keys of a role must sign; 1 where none is given.
    """
    root = Root(
        version=version,
        expires=find_expiry("root", now),
        consistent_snapshot=True,
        unrecognized_fields={FIELD: {"channel": channel, "format": 1}},
    )
    for role in ROLES:
        for signer in signers[role]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = (thresholds or {}).get(role, 1)
    return sign_document(root, tuple(signers["root"]))


def renew_root(root: Root, now: datetime) -> Root:
    """Return the root that follows another one: the same, but for its number and its end."""
    renewed = Root.from_dict(root.to_dict())
    renewed.version += 1
    renewed.expires = find_expiry("root", now)
    return renewed


def begin_rotation(root: Root, rotation: Rotation, key: Key, now: datetime) -> Root:
    """Return the root that names a new key beside the old one."""
    renewed = renew_root(root, now)
    renewed.add_key(key, rotation.role)
    record = {**renewed.unrecognized_fields[FIELD]}
    record[_ROTATION] = rotation.model_dump(mode="json", exclude_defaults=True)
    renewed.unrecognized_fields[FIELD] = record
    return renewed


def end_rotation(root: Root, rotation: Rotation, now: datetime) -> Root:
    """Return the root that drops the old key."""
    renewed = renew_root(root, now)
    renewed.revoke_key(rotation.old, rotation.role)
    renewed.unrecognized_fields[FIELD] = {
        name: value for name, value in root.unrecognized_fields[FIELD].items() if name != _ROTATION
    }
    return renewed


def read_rotation(root: Root) -> Rotation | None:
    """Read which key's replacement is under way.

    Raises:
        ChannelCorrupt: It is of no format known here.
    """
    record = root.unrecognized_fields.get(FIELD)
    found = record.get(_ROTATION) if isinstance(record, dict) else None
    try:
        return Rotation.model_validate(found) if found is not None else None
    except ValidationError as error:
        raise ChannelCorrupt(
            f"root ({root.version}) must say which key is replaced; got {error}; use a newer Lepton"
        ) from error


def list_dropped(root: Root, role: Role) -> tuple[str, ...]:
    """Return the ids of a role's keys that sign nothing new, for another takes their place."""
    rotation = read_rotation(root)
    return (rotation.old,) if rotation is not None and rotation.role == role else ()


def sign_root(root: Root, previous: Root, held: Held, where: str) -> bytes:
    """Sign a root with the root keys that are held, as it and the one before it ask.

    Raises:
        KeyAbsent: There are too few of them.
    """
    named = {*root.roles["root"].keyids, *previous.roles["root"].keyids}
    signers = {signer.public_key.keyid: signer for signer in held.get("root", ())}
    usable = tuple(signers[keyid] for keyid in sorted(named) if keyid in signers)
    data = sign_document(root, usable)
    metadata = Metadata[Root].from_bytes(data)
    try:
        for judge in (previous, root):
            judge.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise KeyAbsent(
            f"root of {where} must be signed by {previous.roles['root'].threshold} of its root "
            f"keys; got {len(usable)} of them here; give the offline ones with --keys FILE"
        ) from error
    return data
