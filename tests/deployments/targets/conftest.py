from pathlib import Path

import pytest

from deployments.targets.trust.keys import KeyRing


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the user's own keys or cache."""
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LEPTON_KEYS", raising=False)


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"
