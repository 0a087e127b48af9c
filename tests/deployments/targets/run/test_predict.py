"""From a published run to an answer, and what it costs a device to get there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.targets.errors import BadInput, ChannelAbsent, ChannelRefused
from deployments.targets.publish.channel import Channel
from deployments.targets.run.predict import predict
from deployments.targets.run.runtime import Predictor
from tests.deployments.targets.material import OUTPUTS, SPEC, make_channel, make_onnx, publish_model

PLATFORM = (
    *("torch", "pytorch_lightning", "prefect", "dask", "distributed", "zarr"),
    *("great_expectations", "pandas", "sklearn", "onnx", "pyarrow", "s3fs", "yaml"),
)
DIGIT = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    np.save(tmp_path / "a.npy", DIGIT)
    Image.fromarray(np.rint(DIGIT * (255 / 16)).astype(np.uint8)).save(tmp_path / "b.png")
    return [str(tmp_path / "a.npy"), str(tmp_path / "b.png")]


def test_one_answer_a_file_with_the_model_that_gave_it(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    found = list(predict("edge", files, str(workspace)))
    expected = Predictor(make_onnx(1), SPEC, OUTPUTS).predict(DIGIT[None, None])
    assert [answer.file for answer in found] == files
    for answer in found:
        assert answer.find("label") == str(expected.arrays["label"][0])
        assert answer.find("confidence") == pytest.approx(float(expected.values.max()))
        assert len(answer.model_id) == 64


def test_a_refused_channel_answers_with_the_last_model(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    before = list(predict("edge", files, str(workspace)))
    publish_model(channel, 2, 1)
    (workspace / "channels/edge/metadata/timestamp.json").write_text("junk")
    assert list(predict("edge", files, str(workspace))) == before


def test_nothing_verified_is_an_error_at_the_call(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    (workspace / "channels/edge/metadata/timestamp.json").write_text("junk")
    with pytest.raises(ChannelRefused, match="no model was verified here before"):
        predict("edge", files, str(workspace))


def test_channel_that_is_not_there_is_told_from_a_broken_one(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    with pytest.raises(
        ChannelAbsent, match=r"channel \(egde\) must be one of workspace .*; its channels: edge$"
    ):
        predict("egde", files, str(workspace))
    with pytest.raises(
        ChannelAbsent, match=r"got a workspace without channels; run a recipe there"
    ):
        predict("edge", files, str(workspace.parent / "elsewhere"))
    before = list(predict("edge", files, str(workspace)))
    shutil.rmtree(workspace / "channels")
    assert list(predict("edge", files, str(workspace))) == before


@pytest.mark.parametrize("file", ["", "/"])
def test_folder_is_not_an_input(
    workspace: Path, channel: Channel, tmp_path: Path, file: str
) -> None:
    with pytest.raises(BadInput, match=r"must be one file; got a folder; name the files in it"):
        next(predict("edge", [f"{tmp_path}{file}"], str(workspace)))


def test_absent_file_is_said_to_be_absent(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    with pytest.raises(
        BadInput, match=r"absent\.png\) must exist; got no such file; check the path"
    ):
        next(predict("edge", [str(tmp_path / "absent.png")], str(workspace)))


def test_answers_before_a_bad_file_are_given(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    answers = predict("edge", [files[0], "none.png"], str(workspace))
    assert next(answers).file == files[0]
    with pytest.raises(BadInput, match=r"none\.png"):
        next(answers)


SCRIPT = """
import json, sys
from deployments.targets.run.predict import predict
found = [answer.model_dump() for answer in predict("edge", sys.argv[2:], sys.argv[1])]
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"found": found, "modules": sorted(sys.modules), "peak_kb": peak}))
"""


def test_a_cold_device_needs_none_of_the_platform(
    workspace: Path, channel: Channel, files: list[str]
) -> None:
    # A device has no plug-in, as that which stands for a processor in the tests and imports pytest.
    env = {name: text for name, text in os.environ.items() if name != "LEPTON_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(workspace), *files],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    result = json.loads(done.stdout)
    assert [answer["file"] for answer in result["found"]] == files
    assert not set(PLATFORM) & {name.partition(".")[0] for name in result["modules"]}
    assert result["peak_kb"] <= 120 * 1024


def test_the_publisher_s_side_needs_none_of_the_platform() -> None:
    modules = "deployments.targets.publish.channel, deployments.targets.run.measure"
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert not set(PLATFORM) & {name.partition(".")[0] for name in done.stdout.split()}


def test_specs_are_light() -> None:
    code = "import sys, deployments.targets.specs; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {*PLATFORM, "numpy", "onnxruntime", "tuf", "fsspec", "PIL"}
