"""A training whose loss is lost leaves its batch where people look for it."""

from pathlib import Path

import numpy as np
import pytest

from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.pipeline.fitted import Fitted
from tasks.data.collect import describe_version
from tasks.runtime.errors import WorkerFailed
from tasks.runtime.outcomes import Prepared
from tasks.training.launch import open_trainer
from tasks.training.train import train
from tests.tasks.jobs import MODEL, NAME, make_fit, make_workspace

# One process of the suite runs all that train: it makes the slow imports and these trainings once.
pytestmark = pytest.mark.xdist_group("trainings")


def test_the_batch_survives_the_run_and_is_named(tmp_path: Path) -> None:
    workspace: Store = make_workspace(tmp_path / "workspace")
    version = describe_version(Dataset(workspace, NAME).open())
    prepared = Prepared(
        dataset=version, fitted=Fitted(mean=(5.0,), std=(4.0,), rows=256, dropped={})
    )
    data = ImageSpec.model_validate(
        {
            "image": {"shape": [1, 8, 8], "value_range": [0, 16]},
            "labels": ["a", "b", "c"],
            "split": {"by": "hash", "held_out": 0.2},
        }
    )
    spec = make_fit(
        optimizer={"name": "sgd", "lr": 10.0}, clip_norm=None, explode_factor=1.5, max_epochs=50
    ).train
    directory = tmp_path / "runs" / "20260101-000000-abcdef"
    directory.mkdir(parents=True)
    (directory / "diverged.rank7.npz").write_bytes(b"of another attempt")
    message = r"\(epoch \d+, step \d+\) must be finite"
    with pytest.raises(WorkerFailed, match=message) as caught, open_trainer(directory) as trainer:
        train.fn(workspace.url, prepared, "classes", data, MODEL, spec, (), trainer)
    kept = Path(workspace.url) / "reports" / directory.name / "diverged.rank0.npz"
    assert str(kept) in str(caught.value)
    assert caught.value.kind == "DivergedError"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    with np.load(kept) as rows:
        assert set(rows) == {"sample", "truth", "row_id", "epoch", "step"}
        assert str(rows["row_id"][0]) in str(caught.value)
        assert f"(epoch {rows['epoch'][0]}, step {rows['step'][0]})" in str(caught.value)
