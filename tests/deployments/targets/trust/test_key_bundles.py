"""Bundles carry keys to devices and publishers, and never replace one that is in use."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from deployments.targets.errors import KeyAbsent, KeyConflict, KeyStoreError, KeyUnsafe
from deployments.targets.trust.key_bundles import export_keys, import_keys
from deployments.targets.trust.keys import KeyRing
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import make_channel, publish_model


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_device_bundle_holds_no_secret_and_lets_a_device_follow(
    workspace: Path, tmp_path: Path
) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    export_keys(tmp_path / "device.json")
    text = (tmp_path / "device.json").read_text()
    assert "PRIVATE" not in text
    device = KeyRing(tmp_path / "device")
    import_keys(tmp_path / "device.json", device)
    assert device.channel_ids() == channel.keys.channel_ids()
    assert device.trusted_receipt_keys() == channel.keys.trusted_receipt_keys()
    with pytest.raises(KeyAbsent, match=r"root\.pem"):
        device.channel_signers(device.channel_ids()[0])


def test_private_bundle_lets_another_machine_publish(workspace: Path, tmp_path: Path) -> None:
    channel = make_channel(workspace)
    publish_model(channel, 1, None)
    export_keys(tmp_path / "publisher.json", private=True)
    assert mode_of(tmp_path / "publisher.json") == 0o600
    other = KeyRing(tmp_path / "other")
    import_keys(tmp_path / "publisher.json", other)
    assert mode_of(other.directory / "channels" / other.channel_ids()[0] / "root.pem") == 0o600
    assert publish_model(make_channel(workspace, keys=other), 2, 1).number == 2


def test_bundle_in_the_environment_is_used_without_files(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_model(make_channel(workspace), 1, None)
    export_keys(tmp_path / "publisher.json", private=True)
    monkeypatch.setenv("LEPTON_KEYS", (tmp_path / "publisher.json").read_text())
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "nothing"))
    assert publish_model(make_channel(workspace), 2, 1).number == 2
    assert not list(tmp_path.glob("nothing/**/*.pem"))


def test_import_never_replaces_a_private_key(keys: KeyRing, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other")
    other.receipt_signer()
    export_keys(tmp_path / "other.json", private=True, ring=other)
    mine = keys.receipt_signer().keyid
    with pytest.raises(KeyConflict, match=mine[:12]):
        import_keys(tmp_path / "other.json")
    assert keys.receipt_signer().keyid == mine


def test_open_private_bundle_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    keys.receipt_signer()
    export_keys(tmp_path / "bundle.json", private=True)
    (tmp_path / "bundle.json").chmod(0o644)
    with pytest.raises(KeyUnsafe, match="chmod 600"):
        import_keys(tmp_path / "bundle.json")


def test_a_program_that_signs_is_taken_only_where_it_is_allowed(
    workspace: Path, tmp_path: Path
) -> None:
    """It names a key that the channel has: it would run at the next release."""
    channel = make_channel(workspace)
    channel_id = channel.keys.channel_ids()[0]
    private = load_pem_private_key(channel.keys.channel_key_texts(channel_id)["targets"], None)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    program = ["touch", str(tmp_path / "was-run")]
    text = json.dumps({"command": program, "public": pem.decode()})
    export_keys(tmp_path / "device.json")
    bundle = json.loads((tmp_path / "device.json").read_text())
    bundle["private"] = {"channels": {channel_id: {f"targets-{'0' * 12}": text}}}
    (tmp_path / "device.json").write_text(json.dumps(bundle))
    with pytest.raises(KeyStoreError, match=r"programs.*targets-000000000000.*--commands"):
        import_keys(tmp_path / "device.json")
    publish_model(channel, 1, None)
    assert not (tmp_path / "was-run").exists()
    import_keys(tmp_path / "device.json", commands=True)
    assert f"targets-{'0' * 12}" in channel.keys.channel_key_texts(channel_id)


def test_export_never_overwrites(keys: KeyRing, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("mine")
    with pytest.raises(KeyStoreError, match="must be a new file"):
        export_keys(tmp_path / "bundle.json")
    assert (tmp_path / "bundle.json").read_text() == "mine"


def test_import_names_an_absent_or_foreign_file(tmp_path: Path) -> None:
    with pytest.raises(KeyAbsent, match="lepton keys export"):
        import_keys(tmp_path / "none.json")
    (tmp_path / "foreign.json").write_text('{"format": 1, "private": {"receipt": 5}}')
    with pytest.raises(KeyStoreError, match=r"private\.receipt"):
        import_keys(tmp_path / "foreign.json")


def test_bundle_with_a_root_that_is_not_its_id_is_refused(workspace: Path, tmp_path: Path) -> None:
    channel = make_channel(workspace)
    export_keys(tmp_path / "device.json")
    bundle = json.loads((tmp_path / "device.json").read_text())
    bundle["channels"][0]["root"] += " "
    (tmp_path / "forged.json").write_text(json.dumps(bundle))
    with pytest.raises(KeyStoreError, match=r"channels\.0"):
        import_keys(tmp_path / "forged.json", KeyRing(tmp_path / "device"))
    assert sha256_bytes(channel.store.read("metadata/1.root.json")) == bundle["channels"][0]["id"]
