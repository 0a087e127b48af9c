"""One flipped byte anywhere that a receipt or a channel vouches for is found, and the file is
named.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.flows.conftest import Promoted
from tests.flows.material import call, digits

pytestmark = pytest.mark.prefect


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def _verify(promoted: Promoted) -> tuple[int, str]:
    outcome = call("verify", promoted.summary["model_id"], "--workspace", str(promoted.workspace))
    return outcome.status, outcome.messages.replace("\n", "")


def _list_vouched(promoted: Promoted) -> list[Path]:
    """Every file that the receipt names: models, manifests, log entries, shards."""
    folders = ("models", "datasets")
    files = [
        path
        for name in folders
        for path in (promoted.workspace / name).rglob("*")
        if path.is_file()
    ]
    return sorted(path for path in files if "scratch" not in path.parts)


def test_an_untouched_workspace_verifies(own_promoted: Promoted) -> None:
    assert _verify(own_promoted)[0] == 0


def test_a_flipped_byte_in_any_file_is_found_and_named(own_promoted: Promoted) -> None:
    files = _list_vouched(own_promoted)
    kinds = {path.relative_to(own_promoted.workspace).parts[0] for path in files}
    assert kinds == {"models", "datasets"}
    assert len(files) > 10
    for path in files:
        original = path.read_bytes()
        _flip(path)
        status, messages = _verify(own_promoted)
        assert status == 1, f"{path} was not missed"
        assert path.name in messages
        path.write_bytes(original)
    assert _verify(own_promoted)[0] == 0


def test_a_missing_file_is_found_and_named(own_promoted: Promoted) -> None:
    path = next(path for path in _list_vouched(own_promoted) if "shards" in path.parts)
    path.unlink()
    status, messages = _verify(own_promoted)
    assert status == 1
    assert path.name in messages


def test_a_flipped_byte_in_the_receipt_is_found(own_promoted: Promoted) -> None:
    name = Path(own_promoted.summary["receipt"]).name
    _flip(own_promoted.workspace / "receipts" / name)
    outcome = call("verify", name.removesuffix(".json"), "--workspace", str(own_promoted.workspace))
    assert outcome.status == 1
    assert name in outcome.messages.replace("\n", "")


def test_a_damaged_receipt_is_named_when_its_model_is_asked_for(own_promoted: Promoted) -> None:
    name = Path(own_promoted.summary["receipt"]).name
    _flip(own_promoted.workspace / "receipts" / name)
    status, messages = _verify(own_promoted)
    assert status == 1
    assert name in messages


def test_a_receipts_own_path_says_which_workspace_is_meant(promoted: Promoted) -> None:
    assert call("verify", promoted.summary["receipt"]).status == 0


def test_a_receipt_signed_by_a_stranger_does_not_verify(
    own_promoted: Promoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(own_promoted.workspace.parent / "strangers-config"))
    status, messages = _verify(own_promoted)
    assert status == 1
    assert "trusted" in messages


def test_a_tampered_channel_is_refused_and_the_last_verified_model_still_answers(
    own_promoted: Promoted, tmp_path: Path
) -> None:
    file = tmp_path / "digit.npy"
    np.save(file, digits()[0][7][None])
    where = ("edge", str(file), "--workspace", str(own_promoted.workspace), "--json")
    first = call("predict", *where)
    assert first.status == 0, first.messages
    for path in (own_promoted.workspace / "channels" / "edge").rglob("*"):
        if path.is_file() and "root" not in path.name:
            _flip(path)
    second = call("predict", *where)
    assert second.status == 0
    assert "refused" in second.messages
    assert json.loads(second.out)["label"] == json.loads(first.out)["label"] == str(digits()[1][7])


def test_a_tampered_channel_with_no_verified_model_answers_nothing(
    own_promoted: Promoted, tmp_path: Path
) -> None:
    file = tmp_path / "digit.npy"
    np.save(file, digits()[0][7][None])
    _flip(next((own_promoted.workspace / "channels" / "cloud" / "targets").glob("*.onnx")))
    outcome = call(
        "predict", "cloud", str(file), "--workspace", str(own_promoted.workspace), "--json"
    )
    assert outcome.status == 1
    assert outcome.out == ""
