"""Receipt files: written once under their digest, found by any name, refused if damaged."""

import json

import pytest

from storage.base.errors import Corrupt, NotFound
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.receipt_files import (
    find_receipt,
    list_model_receipts,
    read_receipt,
    write_receipt,
)
from tests.storage.records.material import MODEL, make_receipt, sign


def test_a_receipt_comes_back_as_it_was_and_knows_where_it_lies(tmp_path):
    store = Store(tmp_path)
    signed = write_receipt(store, make_receipt(), sign)
    again = read_receipt(store, signed.id)
    assert again == signed
    assert again.receipt.id == signed.id == sha256_bytes(again.content)
    assert again.receipt.address == str(tmp_path / "receipts" / f"{signed.id}.json")
    assert "address" not in json.loads(again.content)["signed"]


@pytest.mark.parametrize("position", [0, 40, -2])
def test_a_flipped_byte_anywhere_is_found(tmp_path, position):
    store = Store(tmp_path)
    signed = write_receipt(store, make_receipt(), sign)
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


def test_a_receipt_is_found_by_id_prefix_path_and_model(tmp_path):
    store = Store(tmp_path)
    stopped = write_receipt(store, make_receipt("two", promoted=False), sign)
    promoted = write_receipt(store, make_receipt("one"), sign)
    for name in (promoted.id, promoted.id[:8], promoted.receipt.address, MODEL, MODEL[:12]):
        assert find_receipt(store, name) == promoted.id
    assert [entry.id for entry in list_model_receipts(store, MODEL)] == [stopped.id, promoted.id]


@pytest.mark.parametrize("name", ["", "abc", "f" * 64, "../../etc/passwd"])
def test_what_is_not_there_is_not_found(tmp_path, name):
    write_receipt(Store(tmp_path), make_receipt(), sign)
    with pytest.raises(NotFound):
        find_receipt(Store(tmp_path), name)
