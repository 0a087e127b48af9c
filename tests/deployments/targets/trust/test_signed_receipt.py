"""A receipt counts only in its canonical form, signed by a key that is trusted."""

import json
from pathlib import Path

import pytest

from deployments.targets.errors import NotCleared
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.signed_receipt import verify_receipt
from storage.base.store import canonical_json
from tests.deployments.targets.material import (
    make_body,
    make_onnx,
    make_run,
    sign_body,
)

MODEL = make_onnx(1)


def test_a_signature_in_the_name_of_a_trusted_key(keys: KeyRing, tmp_path: Path) -> None:
    body = make_body(MODEL, {"edge": None})
    forged = KeyRing(tmp_path / "stranger").receipt_signer().sign(canonical_json(body))
    forged["keyid"] = keys.receipt_signer().keyid
    with pytest.raises(NotCleared, match="trusted keys"):
        verify_receipt(
            canonical_json({"signatures": [forged], "signed": body}), keys.trusted_receipt_keys()
        )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"signatures":[],"signed":{}}',
        b"[" * 100_000,
        b'{"signed":NaN}',
        b"\xff",
    ],
    ids=["empty", "cut", "list", "null", "unsigned", "deep", "nan", "bytes"],
)
def test_what_is_no_receipt(keys: KeyRing, data: bytes) -> None:
    with pytest.raises(NotCleared):
        verify_receipt(data, keys.trusted_receipt_keys())


def test_the_same_content_in_another_spelling_is_refused(keys: KeyRing) -> None:
    receipt, _ = make_run(MODEL, {"edge": None}, keys)
    with pytest.raises(NotCleared, match="canonical"):
        verify_receipt(json.dumps(json.loads(receipt)).encode(), keys.trusted_receipt_keys())


def test_a_stopped_receipt_still_verifies_as_a_record(keys: KeyRing) -> None:
    body = {**make_body(MODEL, {}), "status": "stopped", "stopped_at": "model"}
    assert verify_receipt(sign_body(body, keys), keys.trusted_receipt_keys())["status"] == "stopped"
