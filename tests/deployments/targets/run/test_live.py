"""The runtime: what it loads, when it swaps, what it goes on with."""

import re
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import ChannelRefused
from deployments.targets.follow import client as client_module
from deployments.targets.publish.channel import Channel
from deployments.targets.run import live as live_module
from deployments.targets.run.live import Runtime
from deployments.targets.run.predict import predict
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.golden import Golden
from tests.deployments.targets.material import (
    make_channel,
    make_golden,
    make_onnx,
    publish_model,
)

RAW = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8), dtype=np.uint8)


@pytest.fixture
def channel(workspace: Path) -> Channel:
    made = make_channel(workspace)
    publish_model(made, 1, None)
    return made


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_it_answers_as_predict_does(workspace: Path, channel: Channel, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RAW[0, 0])
    live = Runtime("edge", str(workspace)).current
    told = live.tell(live.answer(RAW[:1]), file=str(tmp_path / "x.npy"))
    assert told == list(predict("edge", [str(tmp_path / "x.npy")], str(workspace)))
    assert [answer.row for answer in live.tell(live.answer(RAW), file="x")] == [0, 1, 2]


def test_a_newer_release_is_swapped_in_and_the_old_one_kept(
    workspace: Path, channel: Channel
) -> None:
    runtime = Runtime("edge", str(workspace))
    first = runtime.current
    assert (runtime.previous, runtime.slot, runtime.state.status) == (None, "a", "updated")
    assert (runtime.refresh(), runtime.current) == ("current", first)
    publish_model(channel, 2, 1)
    assert runtime.refresh() == "updated"
    assert (runtime.current.release, runtime.previous, runtime.slot) == (2, first, "b")
    assert runtime.state.checked_at is not None
    np.testing.assert_array_equal(first.answer(RAW).values, runtime.previous.answer(RAW).values)


def test_a_channel_that_is_refused_or_gone_changes_nothing(
    workspace: Path, channel: Channel
) -> None:
    runtime = Runtime("edge", str(workspace))
    first = runtime.current
    shutil.rmtree(workspace)
    assert (runtime.refresh(), runtime.current) == ("refused", first)
    assert runtime.state.reason
    again = Runtime("edge", str(workspace))
    assert (again.state.status, again.current.model_id) == ("refused", first.model_id)


def test_nothing_verified_is_refused(workspace: Path, channel: Channel) -> None:
    (workspace / "channels/edge/metadata/timestamp.json").write_text("junk")
    with pytest.raises(ChannelRefused, match="no model was verified here before"):
        Runtime("edge", str(workspace))


def test_another_process_took_the_release_already(workspace: Path, channel: Channel) -> None:
    runtime = Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    Runtime("edge", str(workspace))
    assert (runtime.refresh(), runtime.current.release, runtime.slot) == ("updated", 2, "b")


def test_a_damaged_newest_slot_falls_back_to_the_other_and_is_mended(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    Runtime("edge", str(workspace))
    newest = publish_model(channel, 2, 1)
    assert Runtime("edge", str(workspace)).slot == "b"
    flip(next((tmp_path / "cache").glob(f"channels/*/models/2-*/{newest.file}")))
    shutil.move(workspace, tmp_path / "away")
    runtime = Runtime("edge", str(workspace))
    assert (runtime.current.release, runtime.slot) == (1, "a")
    shutil.move(tmp_path / "away", workspace)
    assert (runtime.refresh(), runtime.current.release, runtime.slot) == ("updated", 2, "b")
    assert runtime.previous is not None
    assert runtime.previous.release == 1


def test_swaps_while_others_answer(workspace: Path, channel: Channel) -> None:
    runtime = Runtime("edge", str(workspace))
    expected = {}
    stopping = threading.Event()
    found: list[tuple[str, np.ndarray]] = []
    faults: list[BaseException] = []

    def answer() -> None:
        try:
            while not stopping.is_set():
                live = runtime.current
                answers = live.answer(RAW)
                told = live.tell(answers, file="x")
                assert {one.model_id for one in told} == {live.model_id}
                found.append((live.model_id, answers.values))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=answer) for _ in range(3)]
    expected[runtime.current.model_id] = runtime.current.answer(RAW).values
    for thread in threads:
        thread.start()
    for seed in range(2, 10):
        publish_model(channel, seed, seed - 1)
        assert runtime.refresh() == "updated"
        expected[runtime.current.model_id] = runtime.current.answer(RAW).values
    stopping.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert len({model_id for model_id, _ in found}) > 2
    for model_id, values in found:
        np.testing.assert_array_equal(values, expected[model_id])


def test_a_fault_in_one_release_s_bytes_never_takes_the_place_of_the_old(
    workspace: Path, channel: Channel
) -> None:
    runtime = Runtime("edge", str(workspace))
    assert runtime.current.verified.data == make_onnx(1)
    release = publish_model(channel, 2, 1)
    path = workspace / f"channels/edge/targets/{release.sha256}.int8.onnx"
    flip(path)
    assert (runtime.refresh(), runtime.current.release, runtime.slot) == ("refused", 1, "a")
    flip(path)
    assert (runtime.refresh(), runtime.current.release, runtime.slot) == ("updated", 2, "b")


WRONG = make_golden(make_onnx(9))
"""Golden samples of another model: well formed, signed, and wrong."""


def test_a_release_that_fails_its_self_test_is_not_taken(
    workspace: Path, channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime("edge", str(workspace))
    first = runtime.current
    publish_model(channel, 2, 1, golden=WRONG)
    fetched = count_calls(monkeypatch, client_module, "download_files")
    for _ in range(3):
        assert (runtime.refresh(), runtime.current, runtime.slot) == ("refused", first, "a")
        assert re.search(
            "release 2 .*did not hold: self-test .*must give", str(runtime.state.reason)
        )
    assert len(fetched) == 1
    assert len(list((tmp_path / "cache").glob("channels/*/models/*"))) == 1
    again = Runtime("edge", str(workspace))
    assert (again.state.status, again.current.release) == ("refused", 1)
    publish_model(channel, 3, 2)
    assert (runtime.refresh(), runtime.current.release) == ("updated", 3)


def test_a_first_release_that_fails_its_self_test_answers_nobody(
    workspace: Path, channel: Channel, tmp_path: Path
) -> None:
    publish_model(channel, 2, 1, golden=WRONG)
    with pytest.raises(ChannelRefused, match=r"did not hold: self-test"):
        Runtime("edge", str(workspace))
    with pytest.raises(ChannelRefused, match=r"did not hold: self-test"):
        predict("edge", [], str(workspace))


def test_a_model_that_fails_its_self_test_later_falls_back_to_the_one_before(
    workspace: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a new onnxruntime, or on another processor."""
    Runtime("edge", str(workspace))
    publish_model(channel, 2, 1)
    assert Runtime("edge", str(workspace)).current.release == 2
    real = live_module.check_golden
    broken = make_golden(make_onnx(2))

    def check(predictor: Predictor, golden: Golden) -> None:
        real(predictor, WRONG if golden == broken else golden)

    monkeypatch.setattr(live_module, "check_golden", check)
    runtime = Runtime("edge", str(workspace))
    assert (runtime.state.status, runtime.current.release, runtime.slot) == ("refused", 1, "a")
    assert "self-test" in str(runtime.state.reason)
    publish_model(channel, 3, 2)
    assert (runtime.refresh(), runtime.current.release, runtime.slot) == ("updated", 3, "b")


def count_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    calls: list[Any] = []
    real = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: calls.append(given) or real(*given))
    return calls
