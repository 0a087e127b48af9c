"""Where this machine's receipt key lies: a file, or the record of a program that holds it.

<config>/receipt.pem    a private key; made on first use
<config>/receipt.json   the program that signs instead: it comes first where both are there
"""

from pathlib import Path
from typing import Final

from deployments.targets.errors import KeyConflict
from deployments.targets.trust.key_files import (
    make_private_dir,
    put_private,
    read_private,
    remove_private,
)
from deployments.targets.trust.key_records import is_command
from deployments.targets.trust.receipt_signer import make_private_pem, make_signer

_PEM: Final = "receipt.pem"
_COMMAND: Final = "receipt.json"


def read_receipt_key(directory: Path, *, create: bool) -> tuple[bytes, str]:
    """Reads the key's text, and where it lies, for messages.

    It is made on first use, once, also when two processes ask at the same time.

    Raises:
        KeyAbsent: There is none and `create` is False.
        KeyUnsafe: The key file is open to others.
    """
    command, pem = directory / _COMMAND, directory / _PEM
    if command.exists():
        return read_private(command), str(command)
    if create and not pem.exists():
        make_private_dir(directory)
        put_private(pem, make_private_pem())
    return read_private(pem), str(pem)


def put_receipt_key(directory: Path, text: bytes) -> None:
    """Takes over a key: a PEM, or the record of a program.

    Raises:
        KeyConflict: This machine signs with another one.
        KeyStoreError: It is none.
    """
    offered = make_signer(text, "the bundle")
    files = (directory / _COMMAND, directory / _PEM)
    path = next((file for file in files if file.exists()), files[0 if is_command(text) else 1])
    if put_private(path, text):
        return
    present = make_signer(read_private(path), str(path))
    if present.keyid != offered.keyid:
        raise KeyConflict(
            f"receipt key ({path}) must stay the one that this machine signs with, "
            f"{present.keyid[:12]}; got {offered.keyid[:12]}; move the file away first, or "
            "import a bundle without private keys"
        )


def replace_receipt_key(directory: Path, text: bytes) -> None:
    """Puts a program in the place of the key's file, which is removed.

    A call that was killed is finished by the next one.

    Raises:
        KeyConflict: Another program signs already.
        KeyStoreError: The program does not sign with the key that it is said to.
    """
    signer = make_signer(text, "the signing command")
    signer.sign(b"lepton: is this the key?")
    make_private_dir(directory)
    path = directory / _COMMAND
    if not put_private(path, text) and read_private(path) != text:
        raise KeyConflict(
            f"receipt key ({path}) must stay the program that this machine signs with; got "
            "another; move the file away first"
        )
    remove_private(directory / _PEM)
