"""A program that signs receipts in the place of a key's file."""

import shlex
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from deployments.targets.errors import KeyConflict, KeyStoreError
from deployments.targets.follow.client import update_model
from deployments.targets.trust.commands import describe_command
from deployments.targets.trust.key_bundles import export_keys, import_keys
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.signed_receipt import verify_receipt
from tests.deployments.targets.material import make_channel, make_onnx, make_run, publish_model
from tests.flows.material import call

SIGN = """import sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
print(key.sign(sys.stdin.buffer.read()).hex())
"""


class Token:
    """A program with a key of its own, as an HSM's client has one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        key = ed25519.Ed25519PrivateKey.generate()
        kept, self.public = folder / "kept.pem", folder / "public.pem"
        kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(write_public(key.public_key()))
        self.program = folder / "sign.py"
        self.program.write_text(SIGN)
        self.command = shlex.join([sys.executable, str(self.program), str(kept)])

    @property
    def text(self) -> bytes:
        """The record of it."""
        return describe_command(self.command, self.public.read_bytes())


def write_public(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def token(tmp_path: Path) -> Token:
    return Token(tmp_path / "token")


def test_a_program_signs_what_a_device_takes(token: Token, workspace: Path, tmp_path: Path) -> None:
    old = KeyRing().receipt_signer().keyid
    told = call("keys", "receipts", "--command", token.command, "--public", str(token.public))
    channel, ring = make_channel(workspace), KeyRing()
    assert not (ring.directory / "receipt.pem").exists()
    keyid = ring.receipt_signer().keyid
    assert keyid[:12] in told.messages
    assert set(ring.trusted_receipt_keys()) == {old, keyid}
    receipt, _ = make_run(make_onnx(1), {"edge": None}, ring)
    verify_receipt(receipt, {keyid: ring.trusted_receipt_keys()[keyid]})
    publish_model(channel, 1, None)
    export_keys(tmp_path / "device.json")
    assert "sign.py" not in (tmp_path / "device.json").read_text()
    assert update_model("edge", str(workspace)).model.data == make_onnx(1)


def test_what_a_program_must_not_do_is_refused(token: Token, keys: KeyRing) -> None:
    keyid = keys.receipt_signer().keyid
    for program, said in (("print('00' * 64)", "must sign with key"), ("exit(3)", "got 3")):
        token.program.write_text(program)
        with pytest.raises(KeyStoreError, match=said):
            keys.sign_receipts_by(token.text)
    other = write_public(ec.generate_private_key(ec.SECP256R1()).public_key())
    for public in (other, b"no key"):
        with pytest.raises(KeyStoreError):
            keys.sign_receipts_by(describe_command(token.command, public))
    assert keys.receipt_signer().keyid == keyid


def test_a_call_that_was_killed_is_finished_and_another_program_is_refused(
    token: Token, keys: KeyRing, tmp_path: Path
) -> None:
    keys.receipt_signer()
    pem = (keys.directory / "receipt.pem").read_bytes()
    keyid = keys.sign_receipts_by(token.text).keyid
    (keys.directory / "receipt.pem").write_bytes(pem)  # as where it was killed in between
    assert keys.receipt_signer().keyid == keyid
    keys.sign_receipts_by(token.text)
    assert not (keys.directory / "receipt.pem").exists()
    with pytest.raises(KeyConflict, match="must stay the program"):
        keys.sign_receipts_by(Token(tmp_path / "other").text)


def test_a_program_goes_elsewhere_only_where_that_is_said(
    token: Token, keys: KeyRing, tmp_path: Path
) -> None:
    keyid = keys.sign_receipts_by(token.text).keyid
    export_keys(tmp_path / "all.json", private=True, ring=keys)
    there = KeyRing(tmp_path / "there")
    with pytest.raises(KeyStoreError, match=r"no programs that sign.*got receipt"):
        import_keys(tmp_path / "all.json", there)
    import_keys(tmp_path / "all.json", there, commands=True)
    import_keys(tmp_path / "all.json", there, commands=True)
    assert there.receipt_signer().keyid == keyid
    taken = KeyRing(tmp_path / "taken")
    taken.receipt_signer()
    with pytest.raises(KeyConflict, match="move the file away"):
        import_keys(tmp_path / "all.json", taken, commands=True)
