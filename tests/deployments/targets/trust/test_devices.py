import json
from pathlib import Path

import pytest

from deployments.targets.errors import DeviceRefused
from deployments.targets.trust.devices import (
    add_device,
    list_device_ids,
    list_devices,
    make_code,
    parse_code,
    read_device,
    revoke_device,
)
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.receipt_signer import ReceiptSigner, make_private_pem, make_signer
from storage.base.store import Store, canonical_json


@pytest.fixture
def signer() -> ReceiptSigner:
    return make_signer(make_private_pem(), "memory")


@pytest.fixture
def workspace(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def test_a_code_names_the_device_and_its_key(signer: ReceiptSigner) -> None:
    code = make_code("d1", signer)
    assert parse_code(f" {code}\n") == ("d1", signer.public)
    assert " " not in code


def test_a_wrong_letter_anywhere_in_a_code_is_found(signer: ReceiptSigner) -> None:
    code = make_code("d1", signer)
    for place in range(0, len(code), 7):
        other = "A" if code[place] != "A" else "B"
        with pytest.raises(DeviceRefused, match="enrolment code must"):
            parse_code(code[:place] + other + code[place + 1 :])
    for text in ("", "lepton-device-1.e30.A", code[:-1], code + "A"):
        with pytest.raises(DeviceRefused, match="enrolment code must"):
            parse_code(text)


@pytest.mark.parametrize("name", ["", "D1", "a:b", "a/b", "../a", "a b", "x" * 64, "a\n"])
def test_an_id_that_cannot_be_one_is_refused(name: str, signer: ReceiptSigner) -> None:
    with pytest.raises(DeviceRefused, match="device id"):
        make_code(name, signer)


def test_an_enrolled_device_is_read_back(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner
) -> None:
    made = add_device(workspace, make_code("d1", signer), device_class="default", ring=keys)
    assert read_device(workspace, "d1", keys) == made
    assert (made.public, made.device_class, made.group) == (signer.public, "default", None)
    assert made.enrolled_by == keys.receipt_signer().keyid
    assert list_devices(workspace, keys) == [made]


def test_adding_again_changes_class_and_group_and_nothing_else(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner
) -> None:
    code = make_code("d1", signer)
    first = add_device(workspace, code, device_class="default", ring=keys)
    assert add_device(workspace, code, device_class="default", ring=keys) == first
    second = add_device(workspace, code, device_class="camera", group="north", ring=keys)
    assert (second.device_class, second.group) == ("camera", "north")
    assert second.enrolled_at == first.enrolled_at
    assert read_device(workspace, "d1", keys) == second


def test_a_record_names_the_entities_that_a_device_may_tell_of_and_nothing_where_there_are_none(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner
) -> None:
    code = make_code("d1", signer)
    add_device(workspace, code, device_class="default", ring=keys)
    assert "entities" not in json.loads(workspace.read("devices/d1.json"))["signed"]
    names = ["Shop, North", "B", "B"]
    add_device(workspace, code, device_class="default", entities=names, ring=keys)
    assert read_device(workspace, "d1", keys).entities == ("B", "Shop, North")
    add_device(workspace, code, device_class="default", ring=keys)
    assert read_device(workspace, "d1", keys).entities == ()
    for name in ("", "x" * 201):
        with pytest.raises(DeviceRefused, match="entity"):
            add_device(workspace, code, device_class="default", entities=[name], ring=keys)


def test_an_id_stays_its_first_keys_and_a_revoked_one_is_not_given_again(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner
) -> None:
    other = make_signer(make_private_pem(), "memory")
    add_device(workspace, make_code("d1", signer), device_class="default", ring=keys)
    with pytest.raises(DeviceRefused, match="another key"):
        add_device(workspace, make_code("d1", other), device_class="default", ring=keys)
    revoked = revoke_device(workspace, "d1", keys)
    assert revoked.revoked_at is not None
    assert revoke_device(workspace, "d1", keys) == revoked
    for key in (signer, other):
        with pytest.raises(DeviceRefused, match="was revoked"):
            add_device(workspace, make_code("d1", key), device_class="default", ring=keys)
    assert list_devices(workspace, keys) == [revoked]


def test_a_record_that_no_trusted_key_signed_is_refused(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner, tmp_path: Path
) -> None:
    add_device(workspace, make_code("d1", signer), device_class="default", ring=keys)
    stranger = KeyRing(tmp_path / "stranger")
    with pytest.raises(DeviceRefused, match="must be signed by one of 0 trusted keys"):
        read_device(workspace, "d1", stranger)
    record = json.loads(workspace.read("devices/d1.json"))
    record["signed"]["device_class"] = "other"
    workspace.write("devices/d1.json", canonical_json(record))
    with pytest.raises(DeviceRefused, match="must be signed"):
        read_device(workspace, "d1", keys)


def test_anothers_record_and_other_sorts_of_records_are_refused(
    workspace: Store, keys: KeyRing, signer: ReceiptSigner
) -> None:
    add_device(workspace, make_code("d1", signer), device_class="default", ring=keys)
    workspace.write("devices/d2.json", workspace.read("devices/d1.json"))
    with pytest.raises(DeviceRefused, match="must be its own; got that of d1"):
        read_device(workspace, "d2", keys)
    workspace.write("devices/d2.json", b'{"format": 1}')
    with pytest.raises(DeviceRefused, match="canonical JSON"):
        read_device(workspace, "d2", keys)


def test_an_unknown_device_is_named_and_other_files_are_passed_over(
    workspace: Store, keys: KeyRing
) -> None:
    with pytest.raises(DeviceRefused, match=r"device \(d9\) must be enrolled"):
        read_device(workspace, "d9", keys)
    workspace.write("devices/.DS_Store", b"x")
    assert list_device_ids(workspace) == []
