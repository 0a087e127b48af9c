"""Clearance: is there a green receipt, signed by a trusted key, for exactly these bytes on this channel?

Both ends ask it: the publisher before anything is written, the device before anything is used.
There is no other way for bytes onto a channel, or from a channel into a runtime.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.targets.errors import BadArtifact, NotCleared
from deployments.targets.trust.card import CARD_FILE, UNNAMED, Card
from storage.base.errors import StorageError
from storage.base.store import canonical_json, sha256_bytes

FORMAT: Final = 2
MAX_RECEIPT_BYTES = 8 * 2**20
REQUIRED_GATES = ("raw", "prepared", "model", "artifact")
_REMEDY = "run the recipe again to get a receipt for these bytes"


class Clearance(BaseModel):
    """What a receipt clears for one channel, after every check.

    Attributes:
        channel: The channel.
        model_id: Identity of the model.
        card: The model card.
        sha256: Digest of the artifact's bytes.
        size_bytes: Their number.
        receipt: sha256 of the receipt's bytes.
        expected: The release that this one may follow; None: it may be the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str
    model_id: str
    card: Card
    sha256: str
    size_bytes: int
    receipt: str
    expected: int | None


def verify_receipt(receipt: bytes, trusted: Mapping[str, bytes]) -> dict[str, Any]:
    """Checks a receipt's form and signature, whatever its status.

    Args:
        receipt: The file's bytes: canonical JSON of `{"signatures": [...], "signed": body}`.
        trusted: Raw ed25519 public keys by key id.

    Returns:
        The body.

    Raises:
        NotCleared: It is not canonical JSON of a known format, or no trusted key signed it.
    """
    if len(receipt) > MAX_RECEIPT_BYTES:
        raise NotCleared(
            f"receipt must be at most {MAX_RECEIPT_BYTES} bytes; got {len(receipt)}; {_REMEDY}"
        )
    try:
        envelope = json.loads(receipt)
        # Parsers disagree about doubled keys and stray bytes; the canonical form leaves nothing to
        # disagree about.
        canonical = canonical_json(envelope) == receipt
    except (ValueError, RecursionError, StorageError) as error:
        raise NotCleared(f"receipt must be canonical JSON; got {error}; {_REMEDY}") from error
    if not canonical or not isinstance(envelope, dict) or set(envelope) != {"signatures", "signed"}:
        raise NotCleared(
            "receipt must be canonical JSON of its signatures and its signed body; got another; "
            f"{_REMEDY}"
        )
    body = envelope["signed"]
    found = body.get("format") if isinstance(body, dict) else None
    if found != FORMAT:
        remedy = _REMEDY if found in range(FORMAT) else "read it with a newer Lepton"
        raise NotCleared(f"receipt must have format {FORMAT}; got {found!r}; {remedy}")
    if not any(
        _is_signed(canonical_json(body), signature, trusted)
        for signature in _as_list(envelope["signatures"])
    ):
        raise NotCleared(
            f"receipt ({sha256_bytes(receipt)[:12]}) must be signed by one of {len(trusted)} "
            "trusted keys; got "
            f"{_name_signers(envelope['signatures'])}; import the signer's public key with `lepton "
            "keys import`"
        )
    return dict(body)


def check_clearance(
    receipt: bytes,
    files: Mapping[str, bytes],
    *,
    channel: str,
    artifact: str,
    trusted: Mapping[str, bytes],
) -> Clearance:
    """Checks that a receipt clears exactly these files, an artifact and its card, for a channel.

    Args:
        receipt: The receipt's bytes.
        files: The artifact's bytes and its card's, by file name.
        channel: Name of the channel.
        artifact: Name of the artifact among the run's candidates, such as "int8".
        trusted: Raw ed25519 public keys by key id.

    Raises:
        NotCleared: Any of it fails; the message says which.
    """
    body = verify_receipt(receipt, trusted)
    try:
        _require_green(body)
        card = _read_card(files)
        data = _only_artifact(files, card)
        cleared = _cleared_for(body, channel)
        _check_artifact(body, card, artifact, data, cleared, channel)
        _check_card(body, card, sha256_bytes(receipt))
        return Clearance(
            channel=channel,
            model_id=card.model_id,
            card=card,
            sha256=card.artifact.sha256,
            size_bytes=len(data),
            receipt=card.receipt,
            expected=cleared["expected"],
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise NotCleared(
            f"receipt must state all that it clears; got a fault at {error}; {_REMEDY}"
        ) from error


def _require_green(body: Mapping[str, Any]) -> None:
    _require("receipt's status", body["status"], "promoted")
    _require("receipt's stopped_at", body["stopped_at"], None)
    stages = {gate["stage"]: gate["passed"] for gate in _as_list(body["gates"])}
    red = [stage for stage, passed in stages.items() if passed is not True]
    if red or len(stages) != len(body["gates"]):
        raise NotCleared(
            f"receipt's gates must all have passed, each once; got red: {red}; mend the data or "
            "the model"
        )
    missing = [stage for stage in REQUIRED_GATES if stage not in stages]
    if missing:
        raise NotCleared(
            f"receipt's gates must be {', '.join(REQUIRED_GATES)}; got no {missing[0]}; {_REMEDY}"
        )


def _read_card(files: Mapping[str, bytes]) -> Card:
    if CARD_FILE not in files:
        raise NotCleared(
            f"files must hold {CARD_FILE}; got {sorted(files)}; publish the model's card beside it"
        )
    try:
        return Card.parse(files[CARD_FILE])
    except BadArtifact as error:
        raise NotCleared(str(error)) from error


def _only_artifact(files: Mapping[str, bytes], card: Card) -> bytes:
    expected = sorted([CARD_FILE, card.artifact.file])
    if sorted(files) != expected:
        raise NotCleared(
            f"files must be {expected}; got {sorted(files)}; publish what the receipt lists, "
            "nothing else"
        )
    return files[card.artifact.file]


def _cleared_for(body: Mapping[str, Any], channel: str) -> Mapping[str, Any]:
    cleared: Mapping[str, Any] | None = body["channels"].get(channel)
    if cleared is None:
        raise NotCleared(
            f"receipt must clear channel {channel!r}; got {sorted(body['channels'])}; {_REMEDY}"
        )
    return cleared


def _check_artifact(
    body: Mapping[str, Any],
    card: Card,
    artifact: str,
    data: bytes,
    cleared: Mapping[str, Any],
    channel: str,
) -> None:
    digest = sha256_bytes(data)
    measured = [entry for entry in _as_list(body["artifacts"]) if entry["name"] == artifact]
    if len(measured) != 1:
        raise NotCleared(
            f"receipt must list artifact {artifact!r} once; got {len(measured)} times; {_REMEDY}"
        )
    listed = body["model"]["files"].get(card.artifact.file)
    if listed is None:
        raise NotCleared(
            f"artifact ({card.artifact.file}) must be a file of the receipt's model; got "
            f"{sorted(body['model']['files'])}; {_REMEDY}"
        )
    _require(
        f"artifact ({card.artifact.file}) sha256 in the receipt", digest, measured[0]["sha256"]
    )
    _require(
        f"artifact ({card.artifact.file}) size_bytes in the receipt",
        len(data),
        listed["size_bytes"],
    )
    _require(
        f"artifact ({card.artifact.file}) sha256 of the model's file", digest, listed["sha256"]
    )
    _require(f"artifact that channel {channel!r} is cleared for", artifact, cleared["artifact"])
    _require(f"sha256 that channel {channel!r} is cleared for", digest, cleared["sha256"])
    _require("card's artifact name", card.artifact.name, artifact)
    _require("card's artifact sha256", card.artifact.sha256, digest)


def _check_card(body: Mapping[str, Any], card: Card, receipt: str) -> None:
    """The card names the receipt, so the receipt cannot list the card: what it says is held against the recipe."""
    recipe = body["recipe"]["document"]
    data = recipe["data"]
    _require("card's receipt", card.receipt, receipt)
    _require("card's model id", card.model_id, body["model"]["id"])
    _require("card's name", card.name, body["recipe"]["name"])
    _require("card's kind", card.kind, recipe["kind"])
    named = [str(label) for label in _as_list(data["labels"])]
    _require("card's labels", list(card.labels), named or list(UNNAMED[card.output.kind]))
    if "image" in data:
        image = data["image"]
        _require("card's input shape", list(card.input.shape), list(image["shape"]))
        _require("card's input dtype", card.input.dtype, image["dtype"])
        _require("card's value range", list(card.input.bounds), list(image["value_range"]))
        return
    names = [column.name for column in card.input.columns if not column.is_time]
    _require(
        "card's columns",
        sorted(names),
        sorted([*_as_list(data["numbers"]), *_as_list(data["texts"])]),
    )
    window = recipe["model"]["window"]
    steps = [] if window is None else [window["lookback"]]
    _require("card's input shape", list(card.input.shape), [*steps, len(card.input.columns)])
    _require(
        "card's horizon",
        card.output.horizon,
        window["horizon"] if window and card.output.columns else 0,
    )


def _require(what: str, got: object, expected: object) -> None:
    if type(got) is bool or got != expected:
        raise NotCleared(f"{what} must be {expected!r}; got {got!r}; {_REMEDY}")


def _is_signed(data: bytes, signature: object, trusted: Mapping[str, bytes]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(signature, dict) or signature.get("method") != "ed25519":
        return False
    public = trusted.get(str(signature.get("keyid")))
    if public is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(str(signature.get("signature"))), data
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _as_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise NotCleared(f"receipt must hold a list; got {type(value).__name__}; {_REMEDY}")
    return value


def _name_signers(signatures: object) -> str:
    names: Iterator[str] = (
        str(entry.get("keyid"))[:12]
        for entry in (signatures if isinstance(signatures, list) else [])
        if isinstance(entry, dict)
    )
    return ", ".join(names) or "no signature"
