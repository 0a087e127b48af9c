"""What ran: the code, the packages and the machine, as a receipt records them."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from pydantic import JsonValue

from storage.base.store import sha256_bytes
from storage.records.receipts import CodeRecord
from tasks.runtime.cluster import count_cores

PACKAGES = ("deployments", "flows", "gates", "lepton_ai", "lightning_modules", "storage", "tasks")
RECORDED = (
    "dask",
    "distributed",
    "fsspec",
    "great-expectations",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "prefect",
    "pydantic",
    "pytorch-lightning",
    "scikit-learn",
    "torch",
    "tuf",
    "zarr",
)


def describe_code() -> CodeRecord:
    """Describes the code that runs: its release, a digest over its files, and the commit if any."""
    root = Path(__file__).resolve().parents[2]
    files = sorted(
        path
        for name in PACKAGES
        for path in (root / name).rglob("*")
        if path.suffix in {".py", ".yaml"}
    )
    listing = "".join(
        f"{path.relative_to(root)} {sha256_bytes(path.read_bytes())}\n" for path in files
    )
    version = importlib.metadata.version("lepton-ai")
    return CodeRecord(
        version=version, digest=sha256_bytes(listing.encode()), commit=_find_commit(root)
    )


def _find_commit(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    try:
        reply = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return reply.stdout.strip() or None if reply.returncode == 0 else None


def describe_packages() -> dict[str, str]:
    """Lists the version of each package that takes part in a run, as far as it is installed."""
    installed = {}
    for name in RECORDED:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def describe_machine() -> dict[str, JsonValue]:
    """Describes the machine that measured: no host name, no address."""
    return {
        "architecture": platform.machine(),
        "cores": count_cores(),
        "processor": _read_processor(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
