"""Hostile files: what they are, and a process that reads them all and tells what each one cost.

`python -m tests.deployments.targets.hostile FOLDER` prints one JSON object by name of a file: what
was said of it, its processor time, the process's peak memory meanwhile, and whatever it did that a
reader of numbers never does: code run, processes, files written, sockets.
"""

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.targets.errors import TargetError
from deployments.targets.run.runtime import Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.card import Card
from deployments.targets.trust.golden import Golden
from deployments.targets.trust.key_records import KeyBundle
from deployments.targets.trust.metadata import read_pinned_root
from deployments.targets.trust.signed_receipt import verify_receipt
from deployments.targets.trust.tensors import unpack_tensors
from storage.base.store import sha256_bytes

SPOILT = ("os.", "subprocess.", "socket.", "shutil.", "pickle.", "exec", "compile", "import")
ALLOWED = ("os.listdir", "os.scandir")


def read_artifact(data: bytes) -> None:
    """Loads and tries an artifact as a device does, whose signatures are all in order."""
    from tests.deployments.targets.material import OUTPUTS, SPEC, make_golden, make_onnx

    sha256 = sha256_bytes(data)
    check_golden(Predictor(data, SPEC, OUTPUTS, sha256=sha256), make_golden(make_onnx(1)))


def read_card(data: bytes) -> None:
    """Reads a card, and tries the model that it should be of against its golden samples."""
    from tests.deployments.targets.material import make_onnx

    card = Card.parse(data)
    check_golden(Predictor.from_card(make_onnx(1), card), card.golden)


READERS: dict[str, Callable[[bytes], object]] = {
    "onnx": read_artifact,
    "card": read_card,
    "golden": Golden.parse,
    "receipt": lambda data: verify_receipt(data, {}),
    "root": lambda data: read_pinned_root(data, "1.root.json"),
    "keys": lambda data: KeyBundle.parse(data, "keys.json"),
    "safetensors": unpack_tensors,
}
"""What reads a file, by the ending of its name."""


@contextmanager
def watched(seen: list[str]) -> Iterator[None]:
    """Notes what a reader of numbers never does, until it ends."""
    at_work = [True]

    def note(event: str, given: tuple[object, ...]) -> None:
        if not at_work:
            return
        writes = (
            event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writes or (event.startswith(SPOILT) and event not in ALLOWED):
            seen.append(f"{event} {given[:1]}")

    sys.addaudithook(note)
    try:
        yield
    finally:
        at_work.clear()


def read_peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def read_file(file: Path) -> dict[str, object]:
    """Reads one file; tells what was said, and what it cost."""
    reader, data, seen, said = READERS[file.suffix[1:]], file.read_bytes(), list[str](), "accepted"
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # The peak begins anew.
    begun = time.process_time()
    with watched(seen):
        try:
            reader(data)
        except TargetError as error:
            said = f"{type(error).__name__}: {error}"
        except Exception as error:
            said = f"fault {type(error).__name__}: {error}"
    took = time.process_time() - begun
    return {"said": said, "took_s": took, "peak_mib": read_peak_mib(), "seen": seen}


def main(folder: Path) -> None:
    """Reads every file of a folder twice over: the first time warms up what is loaded late."""
    files = sorted(folder.iterdir())
    for file in files:
        if file.name.startswith("honest"):
            read_file(file)
    print(json.dumps({file.name: read_file(file) for file in files}))


class Bomb:
    """What runs code once it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, ("was-run",)


PICKLE = pickle.dumps(Bomb())

if __name__ == "__main__":
    main(Path(sys.argv[1]))
