"""The peers' own environment, made once in the user's cache folder."""

import hashlib
import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

STREAM_PEERS = (
    "torch==2.13.0",
    "litdata==0.2.76",
    "mosaicml-streaming==0.13.0",
    "webdataset==1.0.2",
    "zarr==3.1.6",
)


def make_environment(requirements: tuple[str, ...]) -> Path:
    """Installs the requirements into a virtual environment of their own, unless that was done
    before.

    Returns:
        The environment's Python.
    """
    digest = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"peers-{digest}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists():
        print(f"installing {', '.join(requirements)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        stamp.touch()
    return python


def cache_folder() -> Path:
    """Where benchmarks keep environments and data between runs."""
    folder = user_cache_path("lepton-benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
