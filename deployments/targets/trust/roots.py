"""A channel's roots: who may sign what, how many of them must, and how a key takes another's place.

A key is replaced in two roots. The first names the new key beside the old one, so that what is
signed by either verifies; then everything is signed by the new one; the second root drops the old
one, and nothing that it signs is accepted any more. Another number of keys comes alike: the first
root names those that are new, everything is signed by as many as shall sign, the second root asks
for so many. Whoever is killed in between leaves a channel that verifies, and a root that says what
is left to do.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from deployments.targets.errors import ChannelCorrupt, KeyAbsent
from deployments.targets.trust.channel_keys import Held, Wanted
from deployments.targets.trust.decision import Decision
from deployments.targets.trust.key_records import ROLES, Role
from deployments.targets.trust.metadata import SignerMap, find_expiry, sign_document
from deployments.targets.trust.offers import FIELD

_ROTATION: Final = "rotation"


class Rotation(BaseModel):
    """A change of a role's keys that is under way: one replaced, or another number of them.

    Attributes:
        role: The role.
        old: Id of the key that goes for the new one.
        new: Id of the key that comes for the old one.
        dropped: Ids of keys that go for no other.
        threshold: How many must sign from then on; None: as many as before.
        after: Number of the newest snapshot when it began.
        decision: Who decided it, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    old: str = ""
    new: str = ""
    dropped: tuple[str, ...] = ()
    threshold: int | None = None
    after: int
    decision: Decision

    @property
    def gone(self) -> tuple[str, ...]:
        """Ids of all keys that go."""
        return (*self.dropped, self.old) if self.old else self.dropped


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
    # What to_dict gives shares its lists with the root.
    renewed = Root.from_dict(deepcopy(root.to_dict()))
    renewed.version += 1
    renewed.expires = find_expiry("root", now)
    return renewed


def begin_rotation(root: Root, rotation: Rotation, keys: Sequence[Key], now: datetime) -> Root:
    """Return the root that names new keys beside the old ones."""
    renewed = renew_root(root, now)
    for key in keys:
        renewed.add_key(key, rotation.role)
    record = {**renewed.unrecognized_fields[FIELD]}
    record[_ROTATION] = rotation.model_dump(mode="json", exclude_defaults=True)
    renewed.unrecognized_fields[FIELD] = record
    return renewed


def end_rotation(root: Root, rotation: Rotation, now: datetime) -> Root:
    """Return the root that drops the keys that go, and asks for as many as shall sign."""
    renewed = renew_root(root, now)
    for keyid in rotation.gone:
        renewed.revoke_key(keyid, rotation.role)
    if rotation.threshold is not None:
        renewed.roles[rotation.role].threshold = rotation.threshold
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


def find_wanted(root: Root, role: Role) -> Wanted:
    """Return which of a role's keys must sign: as the root asks, and the one to come."""
    rotation, asked = read_rotation(root), root.roles[role]
    if rotation is None or rotation.role != role:
        return Wanted(tuple(asked.keyids), asked.threshold, asked.threshold)
    kept = tuple(keyid for keyid in asked.keyids if keyid not in rotation.gone)
    coming = rotation.threshold or asked.threshold
    return Wanted(kept, max(coming, min(asked.threshold, len(kept))), asked.threshold)


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
