"""Models: an identity fixed by what went in, files written once, weights under their digest."""

import pytest

from storage.base.errors import Conflict, Corrupt, NotFound
from storage.base.store import Store
from storage.records.models import (
    compute_model_id,
    keep_weights,
    model_folder,
    read_recorded,
    write_model_files,
)
from tests.storage.records.material import MODEL


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
