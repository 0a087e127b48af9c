"""A disk that is soon full."""

import contextlib
import subprocess
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def mount(self, options: str) -> None:
        """Mounts it, or mounts it again with other options."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")

    def fill(self) -> None:
        """Takes all space that is left."""
        with self.filler.open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Gives the space back that `fill` took."""
        self.filler.unlink()
