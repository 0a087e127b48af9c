"""What a device measured, signed by it: who is believed, and what the next release goes by."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.edge.state import StateFolder
from deployments.targets.edge.uplinks import StoreUplink
from deployments.targets.errors import DeviceRefused, UplinkRefused
from deployments.targets.run.device_figures import (
    ArtifactFigures,
    DeviceFigures,
    accept_figures,
    find_threads,
    is_figures_file,
    name_figures,
    seal_figures,
)
from deployments.targets.run.measure import Measurement
from deployments.targets.specs import DeviceClass, TargetSpec
from deployments.targets.trust.devices import add_device, make_code, revoke_device
from deployments.targets.trust.keys import KeyRing
from gates.specs.artifact import ArtifactGate
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipts import ArtifactRecord, ClassRecord
from tasks.feedback.uplinks import list_files
from tasks.gates.device_classes import list_demands
from tasks.release import device_figures
from tasks.release.device_figures import read_device_book

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measured(sha256: str, p50_ms: float, threads: int = 1) -> Measurement:
    return Measurement(
        sha256=sha256 * 64,
        size_bytes=10,
        latency_ms_p50=p50_ms,
        latency_ms_p95=p50_ms,
        latency_ms_p99=2 * p50_ms,
        load_ms=1.0,
        memory_bytes=None,
        runs=20,
        threads=threads,
    )


def make_figures(device: str = "cam-1", at: datetime = NOW, **times_ms: float) -> DeviceFigures:
    """Figures of artifacts of the model that the receipt made, named by their bytes' digit."""
    return DeviceFigures(
        device=device,
        at=at,
        channel="edge",
        release=1,
        model_id="f" * 64,
        receipt="e" * 64,
        threads=1,
        artifacts=tuple(
            ArtifactFigures(name=name, measured=measured(name[-1], p50_ms))
            for name, p50_ms in times_ms.items()
        ),
    )


class Fleet:
    """A workspace with devices of class camera."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(str(folder / "workspace"))
        self.ring = KeyRing(folder / "config")
        self.uplink = StoreUplink(str(folder / "workspace" / "uplinks"))

    def enrol(self, device: str) -> Any:
        signer = StateFolder(self.folder / device).enrol(device)
        add_device(self.store, make_code(device, signer), device_class="camera", ring=self.ring)
        return signer

    def find(self, name: str, sha256: str, here_ms: float = 1.0, declared: float = 4.0) -> Any:
        described = {"camera": DeviceClass(slowdown=declared)}
        (asked,) = list_demands(TargetSpec(classes=("camera",)), described, ArtifactGate())
        book = read_device_book(self.store, self.ring)
        return book.find_cost(asked, name, measured(sha256, here_ms))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    def find_receipt(workspace: Store, receipt_id: str) -> Any:
        """Receipt of a run in which int8 took 2 ms here, and fp32 4 ms."""
        del workspace, receipt_id

        class Made:
            artifacts = tuple(
                ArtifactRecord(
                    name=name,
                    file=f"{name}.onnx",
                    sha256=name[-1] * 64,
                    figures=(Figure(name="latency_ms_p50", value=here_ms, unit="ms"),),
                )
                for name, here_ms in {"int8": 2.0, "fp32": 4.0}.items()
            )

        return Made()

    monkeypatch.setattr(device_figures, "_find_receipt", find_receipt)
    (tmp_path / "workspace").mkdir()
    return Fleet(tmp_path)


def test_the_next_release_goes_by_what_a_device_measured_instead_of_what_is_declared(
    fleet: Fleet,
) -> None:
    declared = fleet.find("int8", "8")
    assert (declared.slowdown, declared.device) == (4.0, "")
    assert declared.measured.latency_ms_p50 == 4.0
    signer = fleet.enrol("cam-1")
    data = seal_figures(make_figures(int8=12.0), signer)
    fleet.uplink.send(name_figures("cam-1", data), data)
    # The very bytes: the device's own figures.
    exact = fleet.find("int8", "8")
    assert (exact.slowdown, exact.device) == (None, "cam-1")
    assert exact.measured.latency_ms_p50 == 12.0
    # The next model's int8: 12 ms there for 2 here.
    alike = fleet.find("int8", "a", here_ms=1.5)
    assert (alike.slowdown, alike.device) == (6.0, "cam-1")
    assert alike.measured.latency_ms_p50 == 9.0
    assert alike.measured.latency_ms_p99 == 18.0
    # Of what no device measured the declared slowdown stands.
    assert fleet.find("fp16", "b").slowdown == 4.0
    # Feedback takes it for no batch.
    assert list_files(fleet.store) == []


def test_of_several_devices_the_slowest_counts_and_of_one_its_newest_figures(fleet: Fleet) -> None:
    for device, times in (("cam-1", (12.0, 8.0)), ("cam-2", (10.0,))):
        signer = fleet.enrol(device)
        for day, p50_ms in enumerate(times):
            at = NOW + timedelta(days=day)
            accept_figures(
                fleet.store, seal_figures(make_figures(device, at, int8=p50_ms), signer), fleet.ring
            )
    found = fleet.find("int8", "8")
    assert (found.device, found.measured.latency_ms_p50) == ("cam-2", 10.0)
    revoke_device(fleet.store, "cam-2", fleet.ring)
    assert fleet.find("int8", "8").measured.latency_ms_p50 == 8.0


def test_figures_that_no_enrolled_device_signed_are_refused_and_count_for_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = StateFolder(fleet.folder / "stranger").enrol("cam-1")
    data = seal_figures(make_figures(int8=0.001), stranger)
    with pytest.raises(DeviceRefused, match="must be enrolled"):
        accept_figures(fleet.store, data, fleet.ring)
    signer = StateFolder(fleet.folder / "other").enrol("cam-1")
    add_device(fleet.store, make_code("cam-1", signer), device_class="camera", ring=fleet.ring)
    altered = json.loads(seal_figures(make_figures(int8=5.0), signer))
    altered["signed"]["threads"] = 2
    for bad in (data, json.dumps(altered).encode(), b"{}", b"[" * 10_000):
        with pytest.raises(UplinkRefused):
            accept_figures(fleet.store, bad, fleet.ring)
    name = name_figures("cam-1", data)
    assert is_figures_file(name)
    fleet.uplink.send(name, data)
    assert fleet.find("int8", "8").slowdown == 4.0
    assert "are left out" in caplog.text
    # Its own signature, but for another device's figures.
    with pytest.raises(UplinkRefused):
        accept_figures(fleet.store, seal_figures(make_figures("cam-2"), signer), fleet.ring)
    # A clock that stands still makes no device the fastest.
    accept_figures(fleet.store, seal_figures(make_figures(int8=0.0), signer), fleet.ring)
    assert fleet.find("int8", "8").slowdown == 4.0


def test_a_device_computes_in_as_many_threads_as_the_recipe_says_of_its_class() -> None:
    document = {
        "device_classes": {"camera": {"threads": 3}},
        "targets": {"edge": {"threads": None}, "own": {"threads": 2}},
    }
    receipt = json.dumps({"signed": {"recipe": {"document": document}}}).encode()
    asked = (("edge", "camera"), ("own", "camera"), ("edge", "hub"), ("new", "hub"))
    assert [find_threads(receipt, *each) for each in asked] == [3, 2, 1, 1]
    assert find_threads(b'{"signed": {"recipe": {"document": {}}}}', "edge", "camera") == 1


def test_times_in_several_threads_are_held_against_those_in_as_many(fleet: Fleet) -> None:
    del fleet
    slowed = Figure(name="latency_ms_p50", value=8.0, unit="ms")
    record = ArtifactRecord(
        name="int8",
        file="int8.onnx",
        sha256="8" * 64,
        classes=(ClassRecord(name="camera", threads=2, slowdown=4.0, figures=(slowed,)),),
    )

    class Made:
        artifacts = (record,)

    told = ArtifactFigures(name="int8", measured=measured("8", 6.0, threads=2))
    receipt: Any = Made()
    assert device_figures._find_here(receipt, told, 2) == 2.0
    assert device_figures._find_here(receipt, told, 1) is None
    assert device_figures._find_here(None, told, 1) is None


def test_of_several_releases_the_one_that_a_device_measured_last_tells_how_slow_it_is(
    fleet: Fleet,
) -> None:
    signer = fleet.enrol("cam-1")
    first, last = make_figures(int8=12.0), make_figures(at=NOW + timedelta(days=1))
    other = ArtifactFigures(name="int8", measured=measured("2", 20.0))
    for figures in (last.model_copy(update={"artifacts": (other,)}), first):
        accept_figures(fleet.store, seal_figures(figures, signer), fleet.ring)
    # 12 ms were six times as long as here, by the first release; 20 ms are five times.
    assert fleet.find("int8", "a").slowdown == 5.0


def test_each_figure_is_that_of_the_device_that_is_worst_by_it(fleet: Fleet) -> None:
    for device, p50_ms, p99_ms, memory in (("cam-1", 9.0, 10.0, 7), ("cam-2", 8.0, 50.0, None)):
        signer, made = fleet.enrol(device), make_figures(device, int8=p50_ms)
        changes = {"latency_ms_p99": p99_ms, "memory_bytes": memory}
        artifact = made.artifacts[0].model_copy(
            update={"measured": made.artifacts[0].measured.model_copy(update=changes)}
        )
        figures = made.model_copy(update={"artifacts": (artifact,)})
        accept_figures(fleet.store, seal_figures(figures, signer), fleet.ring)
    found = fleet.find("int8", "8")
    assert (found.device, found.slowdown) == ("cam-1", None)
    assert (found.measured.latency_ms_p50, found.measured.latency_ms_p99) == (9.0, 50.0)
    # One device does not know its memory: whoever limits it gets no figure, which never passes.
    assert found.measured.memory_bytes is None


def test_a_time_without_its_zone_and_one_that_no_answer_takes_are_not_believed(
    fleet: Fleet,
) -> None:
    """Either would end every later release of the class."""
    signer = fleet.enrol("cam-1")
    bare = make_figures(int8=5.0).model_copy(update={"at": datetime(2026, 1, 1)})
    with pytest.raises(UplinkRefused, match="must follow format 1"):
        accept_figures(fleet.store, seal_figures(bare, signer), fleet.ring)
    accept_figures(fleet.store, seal_figures(make_figures(int8=1e300), signer), fleet.ring)
    assert fleet.find("int8", "8").slowdown == 4.0
