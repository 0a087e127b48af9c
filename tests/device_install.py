"""What a device has: the base install in an environment of its own, without what trains."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "deployments",
    "lepton_ai",
    "storage",
    "tasks",
    "flows",
    "gates",
    "lightning_modules",
)


def list_device_packages(extras: Sequence[str] = ()) -> list[importlib.metadata.Distribution]:
    """What `pip install lepton-ai[extras]` brings, with what that depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [Requirement(text) for text in texts]
    while wanted:
        requirement = wanted.pop()
        name = _normalize(requirement.name)
        distribution = importlib.metadata.distribution(name)
        for text in distribution.requires or []:
            needed = Requirement(text)
            asked = [*requirement.extras, ""]
            is_asked = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in asked
            )
            if is_asked and (_normalize(needed.name) not in found or needed.extras):
                wanted.append(needed)
        found[name] = distribution
    return list(found.values())


def make_device_python(folder: Path, extras: Sequence[str] = ()) -> Path:
    """An environment that holds what a device's install holds, and nothing of the platform's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    for distribution in list_device_packages(extras):
        for file in distribution.files or []:
            top = file.parts[0]
            target = Path(str(distribution.locate_file(top)))
            if top not in {"..", "__pycache__"} and not (site / top).exists() and target.exists():
                (site / top).symlink_to(target)
    for name in PACKAGES:
        (site / name).symlink_to(ROOT / name)
    return folder / "bin" / "python"


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
