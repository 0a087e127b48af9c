"""Only a green receipt, by a trusted key, for exactly these bytes, clears anything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.errors import NotCleared
from deployments.targets.trust.clearance import check_clearance
from deployments.targets.trust.keys import KeyRing
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import (
    list_classes,
    make_body,
    make_card,
    make_onnx,
    make_run,
    sign_body,
)

MODEL = make_onnx(1)


def check(receipt: bytes, files: dict[str, bytes], keys: KeyRing, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "channel": "edge",
        "artifact": "int8",
        "trusted": keys.trusted_receipt_keys(),
    }
    return check_clearance(receipt, files, **{**options, **changes})


def run_of(
    body: dict[str, Any], keys: KeyRing, data: bytes = MODEL
) -> tuple[bytes, dict[str, bytes]]:
    receipt = sign_body(body, keys)
    return receipt, {"int8.onnx": data, "card.json": make_card(body, receipt).to_bytes()}


def test_green_receipt_clears_its_bytes(keys: KeyRing) -> None:
    receipt, files = make_run(MODEL, {"edge": 3}, keys)
    cleared = check(receipt, files, keys)
    assert (cleared.sha256, cleared.size_bytes) == (sha256_bytes(MODEL), len(MODEL))
    assert (cleared.expected, cleared.receipt) == (3, sha256_bytes(receipt))


BAD_BODIES: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("stopped", lambda body: body.update(status="stopped"), "status must be 'promoted'"),
    ("stopped at", lambda body: body.update(stopped_at="model"), "stopped_at must be None"),
    ("red gate", lambda body: body["gates"][2].update(passed=False), r"got red: \['model'\]"),
    (
        "gate passed by a word",
        lambda body: body["gates"][0].update(passed="yes"),
        r"got red: \['raw'\]",
    ),
    ("no gate", lambda body: body["gates"].pop(), "got no artifact"),
    ("no gates", lambda body: body.update(gates=[]), "got no raw"),
    (
        "gate twice",
        lambda body: body["gates"].append({"stage": "raw", "passed": True}),
        "each once",
    ),
    (
        "no list of gates",
        lambda body: body.update(required_gates=[]),
        r"required_gates must be, for flow 'lifecycle', at least raw, prepared, model, artifact",
    ),
    ("a shorter list of gates", lambda body: body["required_gates"].pop(), r"got \['raw', 'prep"),
    ("a gate twice in the list", lambda body: body["required_gates"].append("raw"), "each once"),
    ("gates that are no list", lambda body: body.update(required_gates="raw"), "hold a list"),
    (
        "a longer list than the gates that judged",
        lambda body: body["required_gates"].append("fairness"),
        "got no fairness",
    ),
    ("another flow", lambda body: body.update(flow="mine"), r"flow that may publish \(mine\)"),
    ("no flow", lambda body: body.pop("flow"), "flow"),
    ("objective", lambda body: body["model"].update(objective="values"), "card's objective"),
    ("form", lambda body: body["recipe"]["document"]["data"].update(kind="table"), "card's form"),
    (
        "other channel",
        lambda body: body.update(channels={"cloud": {}}),
        r"clear channel 'edge'; got \['cloud'\]",
    ),
    (
        "other artifact",
        lambda body: body["channels"]["edge"].update(artifact="fp32"),
        "must be 'fp32'; got 'int8'",
    ),
    (
        "other bytes",
        lambda body: body["channels"]["edge"].update(sha256="0" * 64),
        "cleared for must be",
    ),
    (
        "size",
        lambda body: body["model"]["files"]["int8.onnx"].update(size_bytes=1),
        "size_bytes in the receipt must be 1",
    ),
    ("not measured", lambda body: body.update(artifacts=body["artifacts"] * 2), "got 2 times"),
    (
        "not of the model",
        lambda body: body["model"].update(files={}),
        "must be a file of the receipt's model",
    ),
    (
        "other golden samples",
        lambda body: body["model"]["files"]["int8.golden.json"].update(sha256="0" * 64),
        "card's golden samples must be '0000",
    ),
    (
        "no golden samples",
        lambda body: body["model"]["files"].pop("int8.golden.json"),
        "state all that it clears; got a fault at 'int8.golden.json'",
    ),
    ("newer format", lambda body: body.update(format=3), "newer Lepton"),
    ("older format", lambda body: body.update(format=1), "format 2; got 1; run the recipe again"),
    ("no expectation", lambda body: body["channels"]["edge"].pop("expected"), "expected"),
    (
        "other labels",
        lambda body: body["recipe"]["document"]["data"].update(labels=["a"]),
        "card's labels must be",
    ),
    (
        "range",
        lambda body: body["recipe"]["document"]["data"]["image"].update(value_range=[0, 1]),
        "value range",
    ),
    ("kind", lambda body: body["recipe"]["document"].update(kind="tabular"), "card's kind"),
]


@pytest.mark.parametrize(
    ("change", "message"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
def test_anything_less_clears_nothing(
    keys: KeyRing, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    body = make_body(MODEL, {"edge": None})
    change(body)
    with pytest.raises(NotCleared, match=message):
        check(*run_of(body, keys), keys)


def test_other_bytes_than_those_measured(keys: KeyRing) -> None:
    receipt, files = make_run(MODEL, {"edge": None}, keys)
    with pytest.raises(NotCleared, match="sha256 in the receipt"):
        check(receipt, {**files, "int8.onnx": MODEL + b"\0"}, keys)


def test_another_file_beside_the_cleared_ones(keys: KeyRing) -> None:
    receipt, files = make_run(MODEL, {"edge": None}, keys)
    with pytest.raises(NotCleared, match="nothing else"):
        check(receipt, {**files, "extra.bin": b"x"}, keys)


@pytest.mark.parametrize(
    "changes",
    [{"outputs": list_classes(("x", "y"))}, {"receipt": "0" * 64}, {"model_id": "1" * 64}],
)
def test_a_card_that_says_something_else(keys: KeyRing, changes: dict[str, Any]) -> None:
    body = make_body(MODEL, {"edge": None})
    receipt = sign_body(body, keys)
    files = {"int8.onnx": MODEL, "card.json": make_card(body, receipt, **changes).to_bytes()}
    with pytest.raises(NotCleared, match="card's"):
        check(receipt, files, keys)


def test_a_receipt_by_an_unknown_key(keys: KeyRing, tmp_path: Path) -> None:
    keys.receipt_signer()
    stranger = KeyRing(tmp_path / "stranger")
    receipt, files = make_run(MODEL, {"edge": None}, stranger)
    with pytest.raises(NotCleared, match="signed by one of 1 trusted keys"):
        check(receipt, files, keys)


def test_every_flipped_byte_of_a_receipt_is_refused(keys: KeyRing) -> None:
    receipt, files = make_run(MODEL, {"edge": None}, keys)
    for position in range(0, len(receipt), 7):
        damaged = bytearray(receipt)
        damaged[position] ^= 1
        with pytest.raises(NotCleared):
            check(bytes(damaged), files, keys)
