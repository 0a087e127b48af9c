"""A workspace with one promoted run, made once."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.material import Outcome, run


@dataclass(frozen=True)
class Promoted:
    """A workspace in which digits was promoted, and what the command said."""

    workspace: Path
    outcome: Outcome

    @property
    def summary(self) -> dict[str, Any]:
        """What `--json` printed."""
        return self.outcome.summary


@pytest.fixture(scope="session")
def promoted(
    tmp_path_factory: pytest.TempPathFactory, prefect_url: str, dask_scheduler: str
) -> Promoted:
    """One promoted run of digits. Tests that change the workspace take `own_promoted`."""
    workspace = tmp_path_factory.mktemp("promoted") / "work space"
    return Promoted(workspace, run("digits", workspace, dask_scheduler))


@pytest.fixture
def own_promoted(promoted: Promoted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promoted:
    """A copy of the promoted workspace, to be changed, with keys that remember nothing of other
    copies.
    """
    config = tmp_path / "config"
    shutil.copytree(os.environ["LEPTON_CONFIG_DIR"], config)
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(config))
    workspace = tmp_path / "copy"
    shutil.copytree(promoted.workspace, workspace)
    return Promoted(workspace, promoted.outcome)
