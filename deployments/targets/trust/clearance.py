"""Clearance: is there a green receipt by a trusted key for exactly these bytes on this channel?

Both ends ask it: the publisher before anything is written, the device before anything is used.
There is no other way for bytes onto a channel, or from a channel into a runtime.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from deployments.targets.errors import BadArtifact, NotCleared
from deployments.targets.trust.card import CARD_FILE, Card
from deployments.targets.trust.card_rules import INPUT_RULES, OUTPUT_RULES, Claim
from deployments.targets.trust.golden import name_golden_file
from deployments.targets.trust.signed_receipt import REMEDY, as_list, verify_receipt
from storage.base.registry import Registry, UnknownName
from storage.base.store import sha256_bytes

T = TypeVar("T")

LEAST_GATES: Registry[tuple[str, ...]] = Registry("flow that may publish", "targets")
"""The gates that each flow's receipts must require, so that a shortened list clears nothing.

The flow declares its gates and the receipt signs them; this is what a device knows of them by
itself. A receipt of a flow without a row here is refused.
"""

LEAST_GATES.register("lifecycle", ("raw", "prepared", "model", "artifact"))


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
        return _state(card, channel, len(data), cleared["expected"])
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise NotCleared(
            f"receipt must state all that it clears; got a fault at {error}; {REMEDY}"
        ) from error


def _state(card: Card, channel: str, size_bytes: int, expected: int | None) -> Clearance:
    return Clearance(
        channel=channel,
        model_id=card.model_id,
        card=card,
        sha256=card.artifact.sha256,
        size_bytes=size_bytes,
        receipt=card.receipt,
        expected=expected,
    )


def _require_green(body: Mapping[str, Any]) -> None:
    """Checks that every gate that the flow requires judged once and passed, and none is red."""
    _require("receipt's status", body["status"], "promoted")
    _require("receipt's stopped_at", body["stopped_at"], None)
    stages = {gate["stage"]: gate["passed"] for gate in as_list(body["gates"])}
    red = [stage for stage, passed in stages.items() if passed is not True]
    if red or len(stages) != len(body["gates"]):
        raise NotCleared(
            f"receipt's gates must all have passed, each once; got red: {red}; mend the data or "
            "the model"
        )
    required = _list_required(body)
    missing = [stage for stage in required if stage not in stages]
    if missing:
        raise NotCleared(
            f"receipt's gates must be {', '.join(required)}; got no {missing[0]}; {REMEDY}"
        )


def _list_required(body: Mapping[str, Any]) -> list[str]:
    """Lists the gates that the flow requires by its receipt: never fewer than are known here."""
    flow, required = body["flow"], as_list(body["required_gates"])
    least = _find_rule(LEAST_GATES, str(flow))
    if not required or not set(least) <= set(required) or len(set(required)) != len(required):
        raise NotCleared(
            f"receipt's required_gates must be, for flow {flow!r}, at least {', '.join(least)}, "
            f"each once; got {required}; {REMEDY}"
        )
    return [str(gate) for gate in required]


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
            f"receipt must clear channel {channel!r}; got {sorted(body['channels'])}; {REMEDY}"
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
    measured = [entry for entry in as_list(body["artifacts"]) if entry["name"] == artifact]
    if len(measured) != 1:
        raise NotCleared(
            f"receipt must list artifact {artifact!r} once; got {len(measured)} times; {REMEDY}"
        )
    listed = body["model"]["files"].get(card.artifact.file)
    if listed is None:
        raise NotCleared(
            f"artifact ({card.artifact.file}) must be a file of the receipt's model; got "
            f"{sorted(body['model']['files'])}; {REMEDY}"
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
    """Holds what a card says against the receipt's recipe and model."""
    recipe, model = body["recipe"]["document"], body["model"]
    claims = [
        Claim("card's receipt", card.receipt, receipt),
        Claim("card's model id", card.model_id, model["id"]),
        Claim("card's name", card.name, body["recipe"]["name"]),
        Claim("card's kind", card.kind, recipe["kind"]),
        Claim("card's form", card.input.form, recipe["data"]["kind"]),
        Claim("card's objective", card.objective, model["objective"]),
    ]
    _require_all(claims)
    _require_all(_find_rule(INPUT_RULES, card.input.form)(card.input, recipe))
    _require_all(_find_rule(OUTPUT_RULES, card.objective)(card.outputs, recipe))
    golden = model["files"][name_golden_file(card.artifact.name)]
    _require("card's golden samples", sha256_bytes(card.golden.to_bytes()), golden["sha256"])


def _find_rule(rules: Registry[T], name: str) -> T:
    try:
        return rules.find(name)
    except UnknownName as error:
        raise NotCleared(str(error)) from error


def _require_all(claims: Sequence[Claim]) -> None:
    for claim in claims:
        _require(*claim)


def _require(what: str, got: object, expected: object) -> None:
    if type(got) is bool or got != expected:
        raise NotCleared(f"{what} must be {expected!r}; got {got!r}; {REMEDY}")
