"""A run whose recipe leaves the network to a race: from rows to a receipt that names the winner."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from tests.flows.material import Outcome, call

pytestmark = [pytest.mark.prefect, pytest.mark.slow]


def write_recipe(folder: Path, **train: Any) -> Path:
    """Diabetes as rows, of which a race is to find the network."""
    bunch = load_diabetes(as_frame=True)
    bunch.frame.to_csv(folder / "rows.csv", index=False)
    document = {
        "format": 1,
        "name": "raced",
        "kind": "tabular-regression",
        "source": {"type": "csv", "url": str(folder / "rows.csv")},
        "data": {
            "numbers": list(bunch.feature_names),
            "target": "target",
            "split": {"by": "hash", "held_out": 0.3, "validation": 0.25},
        },
        "gates": {"model": {"max_mae": 60.0, "min_skill": -0.2, "min_skill_lower_bound": -0.3}},
        "model": {"network": {"family": "auto"}},
        "train": {"max_epochs": 4, "precision": "fp32", "budget_minutes": 0.05, **train},
        "compress": {"candidates": ["fp32"]},
        "targets": {"raced-edge": {"prefer": ["fp32"]}},
    }
    path = folder / "raced.yaml"
    path.write_text(json.dumps(document))
    return path


def run_recipe(path: Path, scheduler: str) -> Outcome:
    workspace = str(path.parent / "workspace")
    return call("run", str(path), "--workspace", workspace, "--scheduler", scheduler, "--json")


def test_the_winner_is_trained_signed_shown_and_answers(
    tmp_path: Path, prefect_url: str, dask_scheduler: str
) -> None:
    outcome = run_recipe(write_recipe(tmp_path), dask_scheduler)
    assert outcome.status == 0, outcome.messages
    body = json.loads(Path(outcome.summary["receipt"]).read_bytes())["signed"]
    chosen = body["recipe"]["chosen"]
    family = chosen["model"]["network"]["family"]
    assert chosen["name"].startswith(family)
    assert body["recipe"]["document"]["model"]["network"]["family"] == "auto"
    assert "choose" in body["timings"]
    page = Path(outcome.summary["report"]).read_text()
    assert "The race" in page
    assert all(name in page for name in ("closed_linear", "trees, trees 200", "mlp"))
    workspace = str(tmp_path / "workspace")
    asked = call(
        *("predict", "raced-edge", str(tmp_path / "rows.csv")), f"--workspace={workspace}", "--json"
    )
    assert asked.status == 0, asked.messages
    answers = [json.loads(line)["value"] for line in asked.out.splitlines()]
    truth = load_diabetes().target
    assert float(abs(np.array(answers) - truth).mean()) < float(abs(truth - truth.mean()).mean())
