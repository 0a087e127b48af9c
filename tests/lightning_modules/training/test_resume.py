"""A training that dies between any two batches, and one that does not, end with the same bits."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.errors import CheckpointError
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import OptimizerSpec, SchedulerSpec, TrainSpec
from lightning_modules.training import auto_precision
from lightning_modules.training.callbacks import ResumeSaver
from lightning_modules.training.checkpoint import ResumeStates
from lightning_modules.training.learner import Tally
from lightning_modules.training.trainer import Fitted, fit_learner
from storage.base.store import Store
from tests.lightning_modules.streams import MemoryStream
from tests.processors import PROCESSORS, stand_on

EPOCHS, BATCHES, BATCH = 3, 5, 16
SAMPLE = ImageSample(shape=(1, 8, 8), classes=4, value_range=(0, 16), mean=(8.0,), std=(5.0,))
MODEL = ModelSpec(network=NetworkSpec(family="cnn", params={"widths": [4, 8], "dropout": 0.3}))


class Died(Exception):
    """Stands for a kill: nothing of the run's memory survives it."""


class MortalStream(MemoryStream):
    """Raises instead of handing over the batch of that number."""

    def __init__(self, *args: Any, dies_at: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dies_at = dies_at
        self.handed_over: list[list[int]] = []

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for batch in super().__iter__():
            if self.dies_at == len(self.handed_over):
                raise Died
            self.handed_over.append(batch["row_id"].tolist())
            yield batch


def make_rows(count: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    label = draw.integers(0, 4, count)
    image = draw.integers(0, 8, (count, 1, 8, 8)) + 2 * label[:, None, None, None]
    return {
        "image": image.astype(np.uint8),
        "label": label,
        "row_id": np.arange(count, dtype=np.uint64) + 7,
    }


def make_spec(**changes: Any) -> TrainSpec:
    return TrainSpec(
        **{
            "max_epochs": EPOCHS,
            "batch_size": BATCH,
            "precision": "fp32",
            "checkpoint_every_steps": 1,
            **changes,
        }
    )


def fit(
    spec: TrainSpec, states: Store | None, *, dies_at: int | None = None
) -> tuple[Fitted, MortalStream]:
    train = MortalStream(
        make_rows(BATCH * BATCHES + 3), batch_size=BATCH // spec.accumulate, dies_at=dies_at
    )
    validation = MemoryStream(make_rows(21), batch_size=8, shuffle=False)
    fitted = fit_learner(
        MODEL, spec, SAMPLE, train_stream=train, validation_stream=validation, states=states
    )
    return fitted, train


def strip_seconds(fitted: Fitted) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in record.items() if name not in ("seconds", "cpu_s")}
        for record in fitted.result.history
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "optimizer": OptimizerSpec(name="muon", lr=0.02)},
        {"scheduler": SchedulerSpec(name="plateau", patience_epochs=1)},
    ],
    ids=["plain", "accumulate and muon", "plateau"],
)
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, changes: dict[str, Any]) -> None:
    spec = make_spec(**changes)
    whole, stream = fit(spec, None)
    batches = len(stream.handed_over)
    assert batches == EPOCHS * (BATCHES * spec.accumulate)
    for dies_at in range(1, batches, 3 * spec.accumulate):
        states = Store(str(tmp_path / f"dies-{dies_at}"))
        with pytest.raises(Died):
            fit(spec, states, dies_at=dies_at)
        resumed, rest = fit(spec, states)
        assert resumed.checkpoint == whole.checkpoint, f"died at batch {dies_at}"
        assert strip_seconds(resumed) == strip_seconds(whole), f"died at batch {dies_at}"
        assert rest.handed_over == stream.handed_over[batches - len(rest.handed_over) :]
        assert ResumeStates(states).list_names() == []


def test_a_state_is_due_by_time_too(tmp_path: Path) -> None:
    spec = make_spec(checkpoint_every_steps=10_000, checkpoint_every_s=1e-9)
    whole, _ = fit(spec, None)
    with pytest.raises(Died):
        fit(spec, Store(str(tmp_path)), dies_at=8)
    resumed, _ = fit(spec, Store(str(tmp_path)))
    assert resumed.result.resumed_step == 8
    assert resumed.checkpoint == whole.checkpoint


def test_the_clock_of_states_starts_with_the_training_and_with_each_state() -> None:
    saved: list[str] = []
    summed: list[torch.Tensor] = []
    now = [0.0]

    def add_up(sums: torch.Tensor, reduce_op: str) -> torch.Tensor:
        summed.append(sums)
        return sums

    trainer: Any = SimpleNamespace(
        global_step=1,
        optimizers=[],
        num_training_batches=99,
        is_global_zero=True,
        world_size=1,
        save_checkpoint=saved.append,
        strategy=SimpleNamespace(root_device=torch.device("cpu"), reduce=add_up),
    )
    learner: Any = SimpleNamespace(train_tally=Tally())
    saver = ResumeSaver(make_spec(checkpoint_every_steps=9), ResumeStates(None), lambda: now[0])  # type: ignore[arg-type]
    now[0] = 100.0
    saver.on_train_start(trainer, learner)
    for seconds in (10, 19.9, 0.2, 29, 1.1, 0):
        now[0] += seconds
        saver.after_batch(trainer, learner, torch.tensor(0.0), None, 0)  # type: ignore[arg-type]
        trainer.global_step += 1
    assert make_spec().checkpoint_every_s == 30 <= 60
    assert saved == ["3", "5"]
    # Steps between two states wait for no device: figures are added up for a state alone.
    assert len(summed) == 2


def test_run_that_dies_twice_ends_with_the_same_bits(tmp_path: Path) -> None:
    spec = make_spec(checkpoint_every_steps=2)
    whole, _ = fit(spec, None)
    states = Store(str(tmp_path))
    for dies_at in (4, 5):
        with pytest.raises(Died):
            fit(spec, states, dies_at=dies_at)
    assert fit(spec, states)[0].checkpoint == whole.checkpoint


@pytest.mark.parametrize("begun_in", ["fp32", "bf16"])
def test_training_ends_in_the_precision_that_it_began_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun_in: str
) -> None:
    monkeypatch.setattr(auto_precision, "measure_gain", lambda *_: 2.0)
    machines = {"fp32": PROCESSORS["plain"], "bf16": PROCESSORS["avx512_bf16"]}
    auto = make_spec(precision="auto")
    stand_on(monkeypatch, machines[begun_in])
    whole, _ = fit(auto, None)
    assert (whole.result.precision, whole.result.precision_kept) == (begun_in, False)
    with pytest.raises(Died):
        fit(auto, Store(str(tmp_path)), dies_at=8)
    stand_on(monkeypatch, machines["fp32" if begun_in == "bf16" else "bf16"])
    resumed, _ = fit(auto, Store(str(tmp_path)))
    assert resumed.result.resumed_step
    assert (resumed.result.precision, resumed.result.precision_kept) == (begun_in, True)
    assert resumed.checkpoint == whole.checkpoint
    other, _ = fit(auto, None)
    assert other.result.precision != begun_in
    assert other.checkpoint != whole.checkpoint


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty"])
def test_damaged_state_is_passed_over(tmp_path: Path, damage: str) -> None:
    spec = make_spec()
    whole, _ = fit(spec, None)
    store = Store(str(tmp_path))
    with pytest.raises(Died):
        fit(spec, store, dies_at=8)
    older, newest = ResumeStates(store).list_names()
    content = (tmp_path / newest).read_bytes()
    middle = len(content) // 2
    damaged = {
        "torn": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }[damage]
    (tmp_path / newest).write_bytes(damaged)
    states = ResumeStates(store)
    assert states.find_newest() == older
    with pytest.raises(CheckpointError, match="must have the sha256 of its name"):
        states.load_checkpoint(newest)
    resumed, _ = fit(spec, store)
    assert resumed.result.resumed_step == int(older.split("-")[1])
    assert resumed.checkpoint == whole.checkpoint
