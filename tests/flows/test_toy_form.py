"""A plug-in's form and objective go from a source to answers, by registration alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.flows.processes import Command

RECIPE = Path(__file__).parents[1] / "toy_form" / "pairs.yaml"
PLUGINS = ",".join(filter(None, (os.environ.get("LEPTON_PLUGINS"), "tests.toy_form")))

pytestmark = pytest.mark.prefect


def lepton(folder: Path, *arguments: str, plugins: str = PLUGINS) -> tuple[int, list[str], str]:
    """Exit status, lines of standard output, and messages of the command."""
    where = ("--workspace", str(folder / "workspace"))
    command = Command(*arguments, *where, cwd=folder, env={"LEPTON_PLUGINS": plugins})
    status = command.finish()
    return status, command.out.read_text().splitlines(), command.messages


def write_pairs(path: Path) -> None:
    """Writes pairs of vectors; the side with the greater sum is the larger one."""
    pairs = np.random.default_rng(0).normal(size=(1200, 2, 3)).astype(np.float32)
    sums = pairs.sum(axis=2)
    np.savez(path, x_train=pairs, y_train=(sums[:, 1] > sums[:, 0]).astype(np.int64))


def test_a_plug_in_s_form_and_objective_go_from_source_to_predict(
    prefect_url: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs.npz")
    source = f"--set=source.url={tmp_path / 'pairs.npz'}"
    status, out, messages = lepton(tmp_path, "run", str(RECIPE), source, "--json")
    assert status == 0, messages
    summary = json.loads(out[-1])
    assert summary["channels"] == {"pairs-edge": "fp32"}
    assert summary["metrics"]["ordered"] > 0.9 > summary["metrics"]["right_ordered"]
    receipt = json.loads(Path(summary["receipt"]).read_bytes())["signed"]
    judged = {
        gate["stage"]: [check["about"] for check in gate["checks"]] for gate in receipt["gates"]
    }
    assert "pairs in the right order" in judged["model"]

    asked = tmp_path / "asked.npy"
    np.save(asked, np.array([[[0, 0, 0], [1, 1, 1]], [[2, 0, 1], [1, 1, -5]]], dtype=np.float32))
    status, out, messages = lepton(tmp_path, "predict", "pairs-edge", str(asked), "--json")
    assert status == 0, messages
    answers = [json.loads(line) for line in out]
    assert [answer["larger"] for answer in answers] == ["right", "left"]
    assert {answer["model_id"] for answer in answers} == {summary["model_id"]}

    status, _, messages = lepton(tmp_path, "verify", summary["model_id"][:12])
    assert status == 0, messages

    # Without the plug-in nothing of it is taken on trust.
    status, _, messages = lepton(tmp_path, "predict", "pairs-edge", str(asked), plugins="")
    assert status == 1
    assert "install the plug-in that brings it" in messages


def test_reading_a_plug_in_s_recipe_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from flows.recipe.load import load_recipe; load_recipe(sys.argv[1]); "
        "print('tests.toy_form.specs' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(RECIPE)],
        env={**os.environ, "LEPTON_PLUGINS": PLUGINS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False"]


def test_without_the_plug_in_its_kind_is_unknown(tmp_path: Path) -> None:
    status, _, messages = lepton(tmp_path, "run", str(RECIPE), plugins="")
    assert status == 2
    assert "kind ('pair-ordering') must be a known kind" in messages
