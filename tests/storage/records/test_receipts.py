"""Receipts: written once under the digest of their bytes, found by any name a person has, refused
when damaged.
"""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from storage.base.errors import Conflict, Corrupt, NotFound
from storage.base.figures import Figure
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.models import (
    compute_model_id,
    keep_weights,
    model_folder,
    read_recorded,
    write_model_files,
)
from storage.records.receipt_files import (
    find_receipt,
    list_model_receipts,
    read_receipt,
    write_receipt,
)
from storage.records.receipts import ArtifactRecord, CodeRecord, ModelRecord, Receipt

MODEL = "ab" * 32


def _sign(data: bytes) -> dict[str, str]:
    return {"keyid": "k" * 64, "method": "ed25519", "signature": sha256_bytes(data)}


def _make(run: str = "one", *, promoted: bool = True, model: str | None = MODEL) -> Receipt:
    return Receipt(
        run=run,
        flow="lifecycle",
        required_gates=("raw", "prepared", "model", "artifact"),
        status="promoted" if promoted else "stopped",
        stopped_at=None if promoted else "gate model",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        lepton=CodeRecord(version="0", digest="d"),
        packages={},
        machine={},
        recipe={"name": "digits"},
        model=ModelRecord(id=model, checkpoint="c") if model else None,
    )


def test_a_receipt_comes_back_as_it_was_and_knows_where_it_lies(tmp_path):
    store = Store(tmp_path)
    signed = write_receipt(store, _make(), _sign)
    again = read_receipt(store, signed.id)
    assert again == signed
    assert again.receipt.id == signed.id == sha256_bytes(again.content)
    assert again.receipt.address == str(tmp_path / "receipts" / f"{signed.id}.json")
    assert "address" not in json.loads(again.content)["signed"]


def test_a_receipt_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        _make().status = "stopped"


@pytest.mark.parametrize("position", [0, 40, -2])
def test_a_flipped_byte_anywhere_is_found(tmp_path, position):
    store = Store(tmp_path)
    signed = write_receipt(store, _make(), _sign)
    path = tmp_path / "receipts" / f"{signed.id}.json"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=signed.id):
        read_receipt(store, signed.id)


@pytest.mark.parametrize(
    ("found", "remedy"), [(1, "run the recipe again"), (3, "read it with a newer Lepton")]
)
def test_another_format_is_refused_in_one_sentence(tmp_path, found, remedy):
    content = canonical_json({"signatures": [], "signed": {"format": found}})
    name = sha256_bytes(content)
    Store(tmp_path).put_if_absent(f"receipts/{name}.json", content)
    with pytest.raises(Corrupt, match=f"format 2; got {found}; {remedy}$"):
        read_receipt(Store(tmp_path), name)


def test_an_artifacts_figures_are_found_by_name_and_split():
    entry = ArtifactRecord(
        name="int8",
        file="int8.onnx",
        sha256="0" * 64,
        figures=(
            Figure(name="mae", value=6.5, unit="", direction="lower", split="validation"),
            Figure(name="agreement", value=1.0, split="validation"),
            Figure(name="size_bytes", value=10, unit="bytes", direction="lower"),
        ),
    )
    assert entry.find("size_bytes") == 10
    assert entry.find("agreement", "validation") == 1.0
    assert entry.find("agreement", "held_out") is None
    assert entry.find_score("validation").name == "mae"
    assert entry.find_score("held_out") is None


def test_a_receipt_is_found_by_id_prefix_path_and_model(tmp_path):
    store = Store(tmp_path)
    stopped = write_receipt(store, _make("two", promoted=False), _sign)
    promoted = write_receipt(store, _make("one"), _sign)
    for name in (promoted.id, promoted.id[:8], promoted.receipt.address, MODEL, MODEL[:12]):
        assert find_receipt(store, name) == promoted.id
    assert [entry.id for entry in list_model_receipts(store, MODEL)] == [stopped.id, promoted.id]


@pytest.mark.parametrize("name", ["", "abc", "f" * 64, "../../etc/passwd"])
def test_what_is_not_there_is_not_found(tmp_path, name):
    write_receipt(Store(tmp_path), _make(), _sign)
    with pytest.raises(NotFound):
        find_receipt(Store(tmp_path), name)


def test_a_models_id_depends_on_weights_recipe_and_each_data_version():
    base = ("w", "r", ["raw", "prepared"])
    others = [
        ("x", "r", ["raw", "prepared"]),
        ("w", "s", ["raw", "prepared"]),
        ("w", "r", ["raw", "other"]),
    ]
    ids = {compute_model_id(*base), *(compute_model_id(*other) for other in others)}
    assert len(ids) == 4
    assert compute_model_id(*base) == compute_model_id(*base)


def test_a_models_files_are_written_once(tmp_path):
    store = Store(tmp_path)
    first = write_model_files(store, MODEL, {"fp32.onnx": b"bytes"})
    assert write_model_files(store, MODEL, {"fp32.onnx": b"bytes"}) == first
    with pytest.raises(Conflict, match=r"fp32\.onnx.*lepton verify"):
        write_model_files(store, MODEL, {"fp32.onnx": b"other"})
    assert model_folder(store, MODEL).read("fp32.onnx") == b"bytes"


def test_weights_from_elsewhere_are_kept_under_their_digest_and_never_others(tmp_path):
    store = Store(tmp_path)
    record = keep_weights(store, b"weights", "s3://bucket/weights.safetensors")
    assert keep_weights(store, b"weights", record.url) == record
    assert read_recorded(store, record) == b"weights"
    (tmp_path / record.path).write_bytes(b"Weights")
    for read in (
        lambda: read_recorded(store, record),
        lambda: keep_weights(store, b"weights", record.url),
    ):
        with pytest.raises(
            Corrupt, match=rf"{record.path}\) must have sha256 {record.sha256}; got"
        ):
            read()
    (tmp_path / record.path).unlink()
    with pytest.raises(NotFound):
        read_recorded(store, record)
