import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from deployments.targets.errors import DeviceRefused, UplinkRefused
from deployments.targets.trust.devices import (
    DeviceRecord,
    add_device,
    make_code,
    read_device,
    revoke_device,
)
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from deployments.targets.trust.tensors import digest_tensors, pack_tensors, unpack_tensors
from deployments.targets.trust.uplink import (
    UplinkBatch,
    UplinkRecord,
    accept_batch,
    name_batch,
    open_batch,
    pack_batch,
    parse_name,
    read_batch,
)
from storage.base.store import Store, canonical_json

MODEL = "ab" * 32
AT = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
SIGNER = make_signer(make_private_pem(), "memory")
DEVICE = DeviceRecord(
    id="d1", public=SIGNER.public, device_class="default", enrolled_at=AT, enrolled_by="k"
)


def make_answer(sequence: int, probability: float = 1.0) -> UplinkRecord:
    return UplinkRecord(
        sequence=sequence,
        kind="answer",
        at=AT,
        model_id=MODEL,
        probability=probability,
        reason="all" if probability == 1 else "sampled",
        answer_id=f"d1:{sequence}",
        answer={"label": "7", "confidence": 0.25},
    )


def make_truth(sequence: int, answer_id: str = "d1:3", truth: Any = "8") -> UplinkRecord:
    return UplinkRecord(sequence=sequence, kind="truth", at=AT, answer_id=answer_id, truth=truth)


def make_batch(first: int = 1, rows: int = 3, dtype: str = "uint8") -> UplinkBatch:
    inputs = np.arange(rows * 4).reshape(rows, 1, 2, 2).astype(dtype)
    records = (*(make_answer(first + 2 * row) for row in range(rows)), make_truth(first + 2 * rows))
    return UplinkBatch("d1", first, first + 2 * rows + 3, MODEL, records, inputs)


@pytest.fixture
def workspace(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def enrol(workspace: Store, keys: KeyRing, signer: ReceiptSigner = SIGNER) -> None:
    add_device(workspace, make_code("d1", signer), device_class="default", ring=keys)


def assert_equal(got: UplinkBatch, wanted: UplinkBatch) -> None:
    assert replace(got, inputs=wanted.inputs, times=None) == replace(wanted, times=None)
    assert got.inputs.dtype == wanted.inputs.dtype
    np.testing.assert_array_equal(got.inputs, wanted.inputs)
    assert (got.times is None) == (wanted.times is None)
    if wanted.times is not None:
        np.testing.assert_array_equal(got.times, wanted.times)


DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_comes_back_as_it_was(dtype: str) -> None:
    batch = make_batch(dtype=dtype)
    data = pack_batch(batch, SIGNER)
    assert data == pack_batch(batch, SIGNER)
    assert_equal(open_batch(data, DEVICE), batch)
    assert load(data).keys() == {"inputs"}  # Any reader of safetensors takes it.
    # Of whom a device may tell, its record says, never its batch.
    opened = open_batch(data, DEVICE.model_copy(update={"entities": ("north",)}))
    assert opened.entities == ("north",)
    assert pack_batch(replace(batch, entities=("south",)), SIGNER) == data


def test_windows_carry_their_times_and_missing_values() -> None:
    inputs = np.full((2, 3, 2), np.nan)
    batch = UplinkBatch(
        "d1", 1, 2, MODEL, (make_answer(1), make_answer(2)), inputs, np.arange(6.0).reshape(2, 3)
    )
    assert_equal(open_batch(pack_batch(batch, SIGNER), DEVICE), batch)


def test_truths_alone_and_an_empty_range_are_batches() -> None:
    for records in ((make_truth(4, "serve-1a2b3c4d:9", {"any": ["json", None]}),), ()):
        batch = UplinkBatch("d1", 2, 9, None, records, np.zeros(0, np.float32))
        assert_equal(open_batch(pack_batch(batch, SIGNER), DEVICE), batch)


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_what_json_cannot_hold_makes_no_batch(value: Any) -> None:
    batch = UplinkBatch("d1", 1, 1, None, (make_truth(1, truth=value),), np.zeros(0, np.float32))
    with pytest.raises(UplinkRefused, match="must be in order"):
        pack_batch(batch, SIGNER)


def test_every_altered_byte_is_refused() -> None:
    data = pack_batch(make_batch(rows=1), SIGNER)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1
        with pytest.raises(UplinkRefused):
            open_batch(bytes(altered), DEVICE)
    for cut in range(0, len(data), 5):
        with pytest.raises(UplinkRefused):
            open_batch(data[:cut], DEVICE)
    with pytest.raises(UplinkRefused):
        open_batch(data + b"\0", DEVICE)


def test_tensors_cannot_change_places_or_names() -> None:
    file = unpack_tensors(pack_batch(make_batch(), SIGNER))
    inputs = file.tensors["inputs"]
    for tensors in (
        {"times": inputs},
        {"inputs": inputs.reshape(3, 4)},
        {"inputs": inputs.view(np.int8)},
        {"inputs": inputs, "times": np.zeros((3, 1))},
        {},
    ):
        with pytest.raises(UplinkRefused, match="must be signed by device d1"):
            open_batch(pack_tensors(file.metadata, tensors), DEVICE)


def test_anothers_key_and_a_revoked_device_are_refused() -> None:
    stranger = make_signer(make_private_pem(), "memory")
    with pytest.raises(UplinkRefused, match="must be signed by device d1"):
        open_batch(pack_batch(make_batch(), stranger), DEVICE)
    with pytest.raises(DeviceRefused, match="must not be revoked"):
        open_batch(pack_batch(make_batch(), SIGNER), DEVICE.model_copy(update={"revoked_at": AT}))


def sign_header(header: Any, device: str = "d1") -> bytes:
    text = canonical_json(header)
    tensors = {"inputs": np.zeros((1, 2), np.uint8)}
    signature = SIGNER.sign(digest_tensors(text, tensors))["signature"]
    return pack_tensors(
        {"device": device, "header": text.decode(), "signature": signature}, tensors
    )


GOOD = {
    "format": 1,
    "device": "d1",
    "first": 1,
    "last": 1,
    "model_id": MODEL,
    "records": [make_answer(1).model_dump(mode="json")],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format"),
        ({"device": "d2"}, "must be called d2:1"),
        ({"device": "d2", "records": []}, "one input for each of 0"),
        ({"first": 0}, "first"),
        ({"first": 2}, "first <= last"),
        ({"last": 10**18}, "last"),
        ({"model_id": "cd" * 32}, "one model"),
        ({"model_id": None}, "one model"),
        ({"records": []}, "one input for each of 0"),
        ({"records": [make_answer(2).model_dump(mode="json")]}, "ascend"),
        ({"records": [GOOD["records"][0] | {"probability": 0}]}, "probability"),  # type: ignore[index]
        ({"records": [GOOD["records"][0] | {"answer_id": "d2:1"}]}, "must be called"),  # type: ignore[index]
        ({"more": 1}, "more"),
    ],
)
def test_a_signed_header_that_is_not_in_order_is_refused(
    change: dict[str, Any], message: str
) -> None:
    open_batch(sign_header(GOOD), DEVICE)
    with pytest.raises(UplinkRefused, match=message):
        open_batch(sign_header(GOOD | change), DEVICE)
    with pytest.raises(UplinkRefused, match="must be of device d1"):
        open_batch(sign_header(GOOD, device="d2"), DEVICE)


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [2**39], "data_offsets": [0, 2**39]}},
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}},
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}},
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [-1, -1], "data_offsets": [0, 1]}},
        {"__metadata__": {}, "a": {"dtype": "O", "shape": [1], "data_offsets": [0, 1]}},
        {"__metadata__": {}, "a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}},
        {"__metadata__": {"device": 1}},
        {"a": 1},
        [],
        {"__metadata__": {}, **{f"t{n}": {} for n in range(99)}},
    ],
)
def test_a_layout_is_believed_no_further_than_the_file(header: Any) -> None:
    text = canonical_json(header)
    with pytest.raises(UplinkRefused):
        unpack_tensors(len(text).to_bytes(8, "little") + text + b"\0\0")


@pytest.mark.parametrize(
    "text",
    [
        b'{,"__metadata__":{}}',
        b'{"__metadata__":{,"a":"b"}}',
        b'{"__metadata__":{"b":"b","a":"a"}}',
        b'{"__metadata__":{"a":"a","a":"a"}}',
        b'{"__metadata__":{"a":"\\u0061"}}',
        b'{"__metadata__":{"a":"\\ud800"}}',
        b'{"__metadata__":{"a":"\xff"}}',
        b'{"__metadata__":{"a":"\n"}}',
        b'{"__metadata__":{"a": "a"}}',
        b'{"__metadata__":{"a":"a"}}' + b" " * 64,
        b'{"__metadata__":{"a":["a"]}}',
        b'{"__metadata__":{},"a":{"data_offsets":[0,00],"dtype":"U8","shape":[0]}}',
        b'{"__metadata__":{},"a":{"data_offsets":[0,0],"dtype":"U8","shape":[0],"x":[]}}',
        b'{"__metadata__":{},"a":{"data_offsets":[0,0],"dtype":"U8","shape":[0]},"a":{"data_offsets"'
        b':[0,0],"dtype":"U8","shape":[0]}}',
    ],
    ids=range(14),
)
def test_a_header_that_is_written_in_another_way_is_refused(text: bytes) -> None:
    text += b" " * (-len(text) % 8)
    with pytest.raises(UplinkRefused, match="uplink must have"):
        unpack_tensors(len(text).to_bytes(8, "little") + text)


def test_a_long_header_costs_little_to_refuse() -> None:
    for body in (b"[],", b"\\", b'\\"', b'"', b'"":{},', b'"a":"a",', b"1,", b"{"):
        text = b'{"__metadata__":{"a":"' + body * (8 * 2**20 // len(body))
        started = time.process_time()
        with pytest.raises(UplinkRefused):
            unpack_tensors(len(text).to_bytes(8, "little") + text)
        assert time.process_time() - started < 5


@pytest.mark.parametrize("size", [2**63, 2**25, 100])
def test_a_header_longer_than_the_file_is_refused(size: int) -> None:
    with pytest.raises(UplinkRefused, match="header within the file"):
        unpack_tensors(size.to_bytes(8, "little") + b"{}")


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UplinkRefused):
        unpack_tensors(data)


def test_deep_json_is_refused() -> None:
    text = b"[" * 100_000
    with pytest.raises(UplinkRefused):
        unpack_tensors(len(text).to_bytes(8, "little") + text)


def test_a_batch_is_taken_once_and_read_back(workspace: Store, keys: KeyRing) -> None:
    enrol(workspace, keys)
    batch = make_batch()
    data = pack_batch(batch, SIGNER)
    assert accept_batch(workspace, data, keys) == (1, 10)
    assert accept_batch(workspace, data, keys) == (1, 10)
    names = workspace.child("uplinks").list()
    assert names == [name_batch(batch, data)]
    assert_equal(read_batch(workspace, names[0], keys), batch)


def test_what_is_not_trusted_never_reaches_the_workspace(workspace: Store, keys: KeyRing) -> None:
    data = pack_batch(make_batch(), SIGNER)
    with pytest.raises(DeviceRefused, match="must be enrolled"):
        accept_batch(workspace, data, keys)
    enrol(workspace, keys)
    altered = bytearray(data)
    altered[-1] ^= 1
    with pytest.raises(UplinkRefused):
        accept_batch(workspace, bytes(altered), keys)
    no_device = pack_tensors({"device": "../../x"}, {})
    with pytest.raises(DeviceRefused, match="device id"):
        accept_batch(workspace, no_device, keys)
    revoke_device(workspace, "d1", keys)
    with pytest.raises(DeviceRefused, match="must not be revoked"):
        accept_batch(workspace, data, keys)
    assert workspace.list("uplinks") == []


def test_a_file_is_what_its_name_says(workspace: Store, keys: KeyRing) -> None:
    enrol(workspace, keys)
    batch = make_batch()
    data = pack_batch(batch, SIGNER)
    good = name_batch(batch, data)
    stated = parse_name(good)
    assert stated is not None
    assert (stated.device, stated.first, stated.last) == ("d1", 1, 10)
    for name in (good.replace("/1-10", "/1-11"), good.replace(stated.sha256, "0" * 64)):
        workspace.write(f"uplinks/{name}", data)
        with pytest.raises(UplinkRefused, match="what its name says"):
            read_batch(workspace, name, keys)
    for name in ("d1/truth-aa.json", "d1/1-2.safetensors", good + ".lepton-probe-1", "../" + good):
        assert parse_name(name) is None
    assert read_device(workspace, "d1", keys).id == "d1"


def test_a_header_says_what_the_format_promises() -> None:
    file = unpack_tensors(pack_batch(make_batch(rows=1), SIGNER))
    header = json.loads(file.metadata["header"])
    assert header["records"][0] == {
        "sequence": 1,
        "kind": "answer",
        "at": "2026-11-28T06:00:00Z",
        "model_id": MODEL,
        "probability": 1.0,
        "reason": "all",
        "answer_id": "d1:1",
        "answer": {"label": "7", "confidence": 0.25},
        "truth": None,
    }
