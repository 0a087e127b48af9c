"""Lepton in strange surroundings: paths with spaces, a bare device.

Other people's packages in the current directory: `Command` puts them there for each of its runs.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.device_install import make_device_python
from tests.flows.conftest import Promoted
from tests.flows.material import call, digits

pytestmark = pytest.mark.prefect


@pytest.fixture(scope="module")
def device_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds what a device's install holds, and nothing of the platform's."""
    return make_device_python(tmp_path_factory.mktemp("device") / "venv")


def _run_device(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from lepton_ai.cli import main; main()"
    return subprocess.run(
        [str(python), "-P", "-c", code, *arguments],
        env={name: value for name, value in os.environ.items() if name != "LEPTON_PLUGINS"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_device_install_predicts_from_a_channel(
    promoted: Promoted, device_python: Path, tmp_path: Path
) -> None:
    images, labels = digits()
    files = []
    for index in (1, 2, 3):
        path = tmp_path / f"digit {index}.npy"
        np.save(path, images[index][None])
        files.append(str(path))
    done = _run_device(
        device_python, "predict", "edge", *files, "--workspace", str(promoted.workspace), "--json"
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == files
    assert [answer["label"] for answer in answers] == [str(labels[index]) for index in (1, 2, 3)]
    assert {answer["model_id"] for answer in answers} == {promoted.summary["model_id"]}
    assert all(0 < answer["confidence"] <= 1 for answer in answers)


def test_the_device_install_has_no_platform_and_says_so(device_python: Path) -> None:
    for name in ("torch", "prefect", "dask", "zarr", "great_expectations", "pandas"):
        code = (
            f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
        )
        assert subprocess.run([str(device_python), "-c", code], check=False).returncode == 0, (
            f"{name} is there"
        )
    done = _run_device(device_python, "run", "digits")
    assert done.returncode == 2
    assert "lepton-ai[platform]" in done.stderr


def test_predict_takes_pictures_of_any_size_onto_the_declared_range(
    promoted: Promoted, tmp_path: Path
) -> None:
    images, labels = digits()
    files = []
    for index, suffix, side in ((10, "png", 8), (11, "png", 64), (12, "jpg", 200)):
        picture = Image.fromarray((images[index] * 255.0 / 16).astype(np.uint8))
        path = tmp_path / f"{index}.{suffix}"
        picture.resize((side, side), Image.Resampling.BICUBIC).save(path)
        files.append(str(path))
    outcome = call("predict", "cloud", *files, "--workspace", str(promoted.workspace), "--json")
    assert outcome.status == 0, outcome.messages
    answers = [json.loads(line)["label"] for line in outcome.out.splitlines()]
    assert answers == [str(labels[index]) for index in (10, 11, 12)]


def test_predict_names_a_bad_file_and_answers_the_others(
    promoted: Promoted, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.npy", tmp_path / "bad.png"
    np.save(good, digits()[0][1][None])
    bad.write_bytes(b"no picture")
    outcome = call(
        "predict", "edge", str(bad), str(good), "--workspace", str(promoted.workspace), "--json"
    )
    assert outcome.status == 1
    assert "bad.png" in outcome.messages
    assert json.loads(outcome.out)["label"] == str(digits()[1][1])
