"""Files of code beside a recipe, each a module that is named by the digest of its bytes.

Their copies lie in one folder, which `LEPTON_PARTS` names to every process of a run. A module is
imported only if its bytes are those of its name.
"""

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from storage.base.local import LocalFiles

VARIABLE = "LEPTON_PARTS"
PREFIX = "lepton_part_"
FILE_NAME = re.compile(r"(?P<path>[^:\n]+\.py):(?P<name>[A-Za-z_]\w*)")
"""A component in a file, as `parts.py:Name`."""
_MODULE = re.compile(PREFIX + r"([0-9a-f]{64})")


def keep_part(content: bytes, folder: Path) -> str:
    """Keeps a file of code under the digest of its bytes, and returns its module's name.

    Args:
        content: The file's bytes.
        folder: Where such files are kept on this machine; other processes of it are told by the
            environment.
    """
    module = PREFIX + hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}.py"
    if not path.exists() or path.read_bytes() != content:
        LocalFiles().write({str(path): content})
    offer_parts(folder)
    return module


def offer_parts(folder: Path) -> None:
    """Tells this process, and those that it starts, where parts are kept."""
    os.environ[VARIABLE] = str(folder)


def is_part(module: str) -> bool:
    """Return whether a module is a file that lay beside a recipe."""
    return _MODULE.fullmatch(module) is not None


def locate_part(module: str) -> Path | None:
    """Return where a part lies on this machine; None where it does not."""
    folder = os.environ.get(VARIABLE)
    path = Path(folder or "") / f"{module}.py"
    return path if folder and path.is_file() else None


def import_own(module: str) -> ModuleType:
    """Imports a module of a user's own: an installed one, or a file that lay beside the recipe.

    Raises:
        ImportError: There is none, or its bytes are not those that its name says.
    """
    if not is_part(module) or module in sys.modules:
        return importlib.import_module(module)
    # Where a scheduler's workers are on other machines, Dask has brought the file there.
    path = locate_part(module)
    found = (
        importlib.util.spec_from_file_location(module, path)
        if path is not None
        else importlib.util.find_spec(module)
    )
    if found is None or found.origin is None or found.loader is None:
        raise ImportError(f"{module} is not on this machine; run the recipe beside its file again")
    content = Path(found.origin).read_bytes()
    if PREFIX + hashlib.sha256(content).hexdigest() != module:
        raise ImportError(f"{module} holds other bytes than its name says; run the recipe again")
    made = importlib.util.module_from_spec(found)
    sys.modules[module] = made
    try:
        exec(compile(content, found.origin, "exec"), made.__dict__)  # noqa: S102 - a person's own
    except BaseException:
        del sys.modules[module]
        raise
    return made
