"""Programs that sign in the place of a key's file, such as an HSM's or a KMS's client."""

import shlex
import subprocess
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import KeyStoreError

SIGN_TIMEOUT_S: Final = 120.0


class CommandKey(BaseModel):
    """A key that another program holds.

    Attributes:
        format: Version of this record.
        command: The program and its arguments. It reads what is to be signed on its standard
            input, and writes the signature in hexadecimal on its standard output.
        public: The public key as PEM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    command: tuple[str, ...] = Field(min_length=1)
    public: str


def describe_command(command: str, public_pem: bytes) -> bytes:
    """Return the record of a key that a command line signs with.

    Raises:
        KeyStoreError: The command is empty, or the public key is no text.
    """
    try:
        parts = tuple(shlex.split(command))
        record = CommandKey(command=parts, public=public_pem.decode("ascii"))
    except ValueError as error:
        raise KeyStoreError(
            "signing command must be a program with its arguments, and have a public key as PEM; "
            f"got {type(error).__name__}; write e.g. 'sign-with-token --slot 9c'"
        ) from error
    return record.model_dump_json().encode()


def parse_command(text: bytes, where: str) -> CommandKey:
    """Reads the record of a command.

    Raises:
        KeyStoreError: It is none.
    """
    try:
        return CommandKey.model_validate_json(text)
    except ValidationError as error:
        raise KeyStoreError(
            f"key ({where}) must be the record of a signing command; got "
            f"{error.errors()[0]['msg']}; import it again"
        ) from error


def ask_command(command: Sequence[str], data: bytes) -> str:
    """Lets a program sign bytes; whoever asks verifies the signature.

    Returns:
        What it wrote: a signature in hexadecimal.

    Raises:
        KeyStoreError: The program cannot be run, or fails.
    """
    what = f"signing command ({command[0]})"
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SIGN_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeyStoreError(
            f"{what} must sign within {SIGN_TIMEOUT_S:.0f} s; got {type(error).__name__}; run "
            "it by hand"
        ) from error
    if done.returncode != 0:
        raise KeyStoreError(f"{what} must end with status 0; got {done.returncode}; run it by hand")
    return done.stdout.decode("ascii", "replace").strip()


def refuse_signature(command: Sequence[str], keyid: str) -> KeyStoreError:
    """Return the error that a program has signed with another key, or written something else."""
    return KeyStoreError(
        f"signing command ({command[0]}) must sign with key {keyid[:12]}, in hexadecimal; got "
        "something else; name its own public key"
    )
