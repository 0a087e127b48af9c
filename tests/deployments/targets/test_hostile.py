"""Hostile files are refused by name, soon and in little memory; none runs code or writes a file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.hostile_onnx import FILES as MODELS
from tests.deployments.targets.hostile_records import make_files
from tests.deployments.targets.material import make_onnx

MOST_S, MOST_MIB, MOST_LETTERS = 1.0, 200.0, 2000
ROOT = Path(__file__).parents[3]
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a process of its own says of each hostile file, and of each honest one."""
    place = tmp_path_factory.mktemp("hostile")
    files = {"honest.onnx": make_onnx(1), **MODELS, **make_files(KeyRing(place / "keys"))}
    inside = place / "files"
    inside.mkdir()
    for name, data in files.items():
        (inside / name).write_bytes(data)
    # Weights for whom it has them read: only a refusal keeps them out.
    work = place / "work"
    work.mkdir()
    for folder in (place, work):
        (folder / "honest.bin").write_bytes(np.zeros((64, 10), np.float32).tobytes())
    before = sorted(place.rglob("*"))
    command = [sys.executable, "-m", "tests.deployments.targets.hostile", str(inside)]
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": "",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert sorted(place.rglob("*")) == before
    found: Told = json.loads(done.stdout)
    assert set(found) == set(files)
    return found


def test_every_hostile_file_is_refused_by_name(told: Told) -> None:
    hostile = {name: found["said"] for name, found in told.items() if "honest" not in name}
    assert len(hostile) >= 40
    errors = (
        "BadArtifact: ",
        "NotCleared: ",
        "ChannelCorrupt: ",
        "KeyStoreError: ",
        "UplinkRefused: ",
    )
    assert {name: said for name, said in hostile.items() if not said.startswith(errors)} == {}
    assert {name: len(said) for name, said in hostile.items() if len(said) > MOST_LETTERS} == {}


def test_honest_files_are_accepted(told: Told) -> None:
    assert {name: found["said"] for name, found in told.items() if "honest" in name} == {
        f"honest.{kind}": "accepted" for kind in ("onnx", "card", "safetensors")
    }


def test_none_runs_code_or_writes(told: Told) -> None:
    assert {name: found["seen"] for name, found in told.items() if found["seen"]} == {}


def test_each_costs_little(told: Told) -> None:
    costs = {name: (found["took_s"], found["peak_mib"]) for name, found in told.items()}
    assert {
        name: cost for name, cost in costs.items() if cost[0] > MOST_S or cost[1] > MOST_MIB
    } == {}
