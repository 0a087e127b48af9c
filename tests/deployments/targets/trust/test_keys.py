import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from deployments.targets.errors import KeyAbsent, KeyStoreError, KeyUnsafe
from deployments.targets.trust.keys import KeyRing


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ask_for_key(directory: str, queue: "multiprocessing.Queue[str]") -> None:
    queue.put(KeyRing(Path(directory)).receipt_signer().keyid)


def test_receipt_key_is_made_once_private_and_trusted(keys: KeyRing) -> None:
    old = os.umask(0)
    try:
        signer = keys.receipt_signer()
    finally:
        os.umask(old)
    assert keys.receipt_signer().keyid == signer.keyid
    assert list(keys.trusted_receipt_keys()) == [signer.keyid]
    assert mode_of(keys.directory) == 0o700
    assert mode_of(keys.directory / "receipt.pem") == 0o600


def test_absent_receipt_key_is_named(keys: KeyRing) -> None:
    with pytest.raises(KeyAbsent, match=r"receipt\.pem.*lepton keys import"):
        keys.receipt_signer(create=False)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_ask_at_once_get_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [
        context.Process(target=ask_for_key, args=(str(tmp_path / "race"), queue)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    found = {queue.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(found) == 1
    assert not [entry for entry in (tmp_path / "race").iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_key_open_to_others_is_refused(keys: KeyRing, mode: int) -> None:
    keys.receipt_signer()
    (keys.directory / "receipt.pem").chmod(mode)
    with pytest.raises(KeyUnsafe, match="chmod 600"):
        keys.receipt_signer()


def test_directory_writable_by_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(KeyUnsafe, match="chmod 700"):
        KeyRing(tmp_path / "open").receipt_signer()


def test_damaged_key_is_named(keys: KeyRing) -> None:
    keys.receipt_signer()
    (keys.directory / "receipt.pem").write_bytes(b"junk")
    with pytest.raises(KeyStoreError, match="PKCS #8 PEM"):
        keys.receipt_signer()


def test_unusable_directory_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KeyStoreError, match="LEPTON_CONFIG_DIR"):
        KeyRing(tmp_path / "file" / "config").receipt_signer()


def test_trusted_key_must_match_its_id(keys: KeyRing) -> None:
    keyid = keys.receipt_signer().keyid
    (keys.directory / "trusted" / f"{keyid}.json").write_text(
        json.dumps({"keyid": keyid, "method": "ed25519", "public": "00" * 32})
    )
    with pytest.raises(KeyStoreError, match="must be the sha256"):
        keys.trusted_receipt_keys()
