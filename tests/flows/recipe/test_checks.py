"""Recipes of tables and series: what their sections must have to do with each other is said at
once, without torch.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import RecipeError
from flows.recipe.load import load_recipe

MINE = "tests.lightning_modules.components"


def list_faults(name: str, overrides: dict[str, object]) -> dict[str, str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, overrides)
    assert all(fault.remedy for fault in caught.value.faults)
    return {fault.path: str(fault) for fault in caught.value.faults}


OWN = {
    "kind": "table",
    "numbers": ["x", "n"],
    "texts": ["c"],
    "label": "y",
    "labels": ["a", "b"],
}


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"filter": [{"field": "c", "none_of": [3]}]}, "filter.0.none_of", "put it in quotes"),
        ({"filter": [{"field": "x", "one_of": ["7"]}]}, "filter.0.one_of", "without quotes"),
        ({"filter": [{"field": "c", "at_least": 2}]}, "filter.0.at_least", "columns of numbers"),
        ({"filter": [{"field": "y", "none_of": ["c"]}]}, "filter.0.none_of", "among a, b"),
        ({"filter": [{"field": "z", "at_least": 2}]}, "filter.0.field", "choose among label, y"),
        (
            {"filter": [{"field": "x", "at_least": 2, "at_most": 1}]},
            "filter.0",
            "at_least 2.0 above",
        ),
        ({"split": {"by": "group", "field": "z", "held_out": 0.2}}, "split.field", "x, n, c"),
        ({"split": {"by": "time", "field": "c", "held_out": 0.2}}, "split.field", "a number"),
        (
            {"split": {"by": "time", "field": "n", "held_out_from": "2024-01-01"}},
            "split.held_out_from",
            "write a number",
        ),
    ],
)
def test_what_no_row_could_meet_is_refused(
    changes: dict[str, object], path: str, message: str
) -> None:
    own = {"data": {**OWN, **changes}, "gates": {}, "model": {"network": {"family": "mlp"}}}
    found = list_faults("machine-failure", {**own, "train": {}})
    assert list(found) == [f"data.{path}"]
    assert message in found[f"data.{path}"]


@pytest.mark.parametrize(
    "channel", ["..", "../../evil", "/evil", "Edge", "a b", "", "a" * 64, ".hidden", "edge\n", "é"]
)
def test_a_channel_that_is_no_name_is_refused(channel: str) -> None:
    (path,) = list_faults("digits", {"targets": {channel: {}}})
    assert path == f"targets.{channel}"


@pytest.mark.parametrize(
    ("name", "overrides", "path", "message"),
    [
        (
            "digits",
            {"model.network.params": {"widths": [-3, 8]}},
            "model.network.params.widths.0",
            "greater than",
        ),
        (
            "digits",
            {"model.network.params": {"depth": 3}},
            "model.network.params.depth",
            "be a parameter of cnn; known here: ",
        ),
        (
            "digits",
            {"model.network.family": "dlinear"},
            "model.network.family",
            "be a family for image rows",
        ),
        (
            "digits",
            {"model.window": {"lookback": 3}},
            "model.window",
            "be given for series, and for nothing else",
        ),
        (
            "digits",
            {"model.head.denoise": {"name": "median"}},
            "model.head.denoise",
            "be for series rows",
        ),
        (
            "traffic",
            {"data.time": {"step": "1h"}, "data.time_format": None},
            "model.head.calendar",
            "be of times that files tell",
        ),
        ("digits", {"train.loss.name": "mse"}, "train.loss.name", "cross_entropy, focal"),
        (
            "digits",
            {"train.augmentation.name": "jitter"},
            "train.augmentation.name",
            "write affine",
        ),
        ("digits", {"kind": "image-clasification"}, "kind", "did you mean image-classification"),
        ("digits", {"data.kind": "series"}, "data.kind", "suit kind image-classification"),
        (
            "digits",
            {"gates.raw.on_fail": {"row count": {"quarantine": {"max_fraction": 0.1}}}},
            "gates.raw.on_fail",
            "image.min",
        ),
        (
            "digits",
            {
                "gates.raw.on_fail": {
                    "rows in the future, fraction": {"quarantine": {"max_fraction": 0.1}}
                }
            },
            "gates.raw.on_fail",
            "image.min; image.max",
        ),
        (
            "digits",
            {"train.devices": 3},
            "train.devices",
            "(3) on nodes (1) must be at least 1 and divide batch_size",
        ),
        (
            "digits",
            {"data.split": {"by": "time", "held_out": 0.2}},
            "data.split.by",
            "have a time to go by",
        ),
        *(
            (name, {"data.image.background": [255, 255, 255]}, "data.image.background", rule)
            for name, rule in (("digits", "type sklearn has values alone"), ("mnist", "type idx"))
        ),
        (
            "digits",
            {"data.split": {"by": "entity", "held_out": 0.2}},
            "data.split.by",
            "have entities to go by",
        ),
        (
            "traffic",
            {"data.split": {"by": "entity", "held_out": 0.2}},
            "data.split.by",
            "write data.entity",
        ),
        (
            "digits",
            {"data.split.validation": 0},
            "data.split.validation",
            "on which the best weights are chosen",
        ),
        ("machine-failure", {"data.labels": ["0", "0"]}, "data.labels", "be names that differ"),
        (
            "transformer-temperature",
            {"model.window.targets": ["OT", "OT"]},
            "model.window.targets",
            "that differ",
        ),
        ("machine-failure", {"data.labels": []}, "data", "give label and labels together"),
        ("machine-failure", {"data.labels": ["1"]}, "data.labels", "two classes or more"),
        (
            "machine-failure",
            {"model.network.params": {"members": 0}},
            "model.network.params.members",
            "greater than",
        ),
        (
            "machine-failure",
            {"train.early_stopping.patience_epochs": 3},
            "train",
            "must be left out where select_by is last",
        ),
        ("machine-failure", {"train.select_by": "mae"}, "train.select_by", "average_precision"),
        ("machine-failure", {"model.head.mirror": True}, "model.head.mirror", "be for image rows"),
        (
            "machine-failure",
            {"model.head.instance_norm": True},
            "model.head.instance_norm",
            "be for series rows",
        ),
        (
            "machine-failure",
            {"model.head.products": [["Torque [Nm]", "speed"]]},
            "model.head.products.0",
            "(speed) must",
        ),
        (
            "machine-failure",
            {"model.head.differences": [["Torque [Nm]", "Torque [Nm]"]]},
            "model.head.differences.0",
            "be of two columns",
        ),
        (
            "traffic",
            {"model.head.products": [["flow", "flow"]]},
            "model.head.products",
            "be for table rows",
        ),
        ("machine-failure", {"gates.model.max_mae": 3}, "gates.model.max_mae", "be a known key"),
        (
            "machine-failure",
            {"kind": "tabular-regression", "gates.model": {}},
            "data.target",
            "write target",
        ),
        (
            "traffic",
            {"model.window.horizon": 0},
            "model.window.horizon",
            "be the steps to forecast",
        ),
        (
            "traffic",
            {"model.window.targets": ["speed"]},
            "model.window.targets",
            "be columns of data.numbers",
        ),
        (
            "traffic",
            {"model.network": {"family": "seasonal_naive", "params": {"season": 288}}},
            "model.network.params.season",
            "at most the lookback of 24 steps",
        ),
        ("traffic", {"model.head.normalise": "entity"}, "model.head.normalise", "data.texts"),
        ("traffic", {"model.head.hash": {"speed": 64}}, "model.head.hash", "columns of data.texts"),
        ("traffic", {"model.head.frequency": ["speed"]}, "model.head.frequency", "of data.texts"),
        ("traffic", {"data.time": None}, "data", "name the column of the time"),
        ("traffic", {"train.loss.name": "focal"}, "train.loss.name", "mse, mae, huber"),
        (
            "traffic",
            {"model.head.denoise": {"name": "savgol", "steps": 4}},
            "model.head.denoise.steps",
            "choose 5",
        ),
        (
            "traffic",
            {"model.network": {"family": "transformer", "params": {"patch": 25}}},
            "model.network.params.patch",
            "at most the lookback of 24 steps",
        ),
        (
            "traffic",
            {"model.network": {"family": "dlinear"}},
            "model.network.params.kernel",
            "at most the lookback of 24 steps",
        ),
        (
            "transformer-temperature",
            {"kind": "anomaly-detection", "gates.model": {}, "model.window": {"lookback": 96}},
            "model.network.family",
            "write family: autoencoder",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_at_its_path(
    name: str, overrides: dict[str, object], path: str, message: str
) -> None:
    faults = list_faults(name, overrides)
    assert path in faults, faults
    assert message in faults[path]


def test_wrong_parameters_are_told_with_the_faults_of_other_sections() -> None:
    overrides = {
        "model.network.params": {"widths": [-3, 8]},
        "train.max_epochs": 0,
        "data.labels": ["0", "0"],
    }
    assert set(list_faults("digits", overrides)) == {
        "model.network.params.widths.0",
        "train.max_epochs",
        "data.labels",
    }


@pytest.mark.parametrize(
    "path",
    [
        "model.network.family",
        "model.head.name",
        "train.loss.name",
        "train.optimizer.name",
        "train.scheduler.name",
        "train.select_by",
        "train.augmentation.name",
        "data.transform",
    ],
)
def test_own_components_are_imported_before_the_run(path: str) -> None:
    assert "no attribute 'Missing'" in list_faults("traffic", {path: f"{MINE}:Missing"})[path]
    assert (
        "be importable and callable"
        in list_faults("traffic", {path: "no_such_package_anywhere:Thing"})[path]
    )
    assert load_recipe("traffic", {path: f"{MINE}:make_nothing"}).digest


def test_own_component_that_only_this_process_finds_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_my_script.py").write_text(
        "def loss(answer, truth): return (answer - truth).square().mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    setting: dict[str, object] = {"train.loss.name": "beside_my_script:loss"}
    fault = list_faults("traffic", setting)["train.loss.name"]
    assert "be importable by other processes" in fault
    assert "PYTHONPATH" in fault
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert load_recipe("traffic", setting).digest


def test_own_suites_are_imported_before_the_run() -> None:
    suites = ["suite.json", f"{MINE}:make_nothing", f"{MINE}:Missing"]
    assert list(list_faults("traffic", {"gates.raw.suites": suites})) == ["gates.raw.suites.2"]
    assert load_recipe("traffic", {"gates.raw.suites": suites[:2]}).digest


def test_recipes_cost_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEPTON_PLUGINS", raising=False)
    code = (
        "import sys; from flows.recipe.load import list_recipes, load_recipe; [load_recipe(name) "
        "for name in list_recipes()];print({'torch', 'pytorch_lightning', 'onnx'} & "
        "set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_quantiles_are_of_numbers_and_have_a_loss_of_their_own() -> None:
    asked = {"model.quantiles": [0.1, 0.5, 0.9]}
    found = list_faults("machine-failure", {**asked, "train.loss.name": None})
    assert list(found) == ["model.quantiles"]
    assert "values or forecast" in found["model.quantiles"]
    found = list_faults("transformer-temperature", {**asked, "train.loss.name": "mae"})
    assert list(found) == ["model.quantiles"]
    assert "train.loss.name mae" in found["model.quantiles"]
    alone = {**asked, "train.loss.name": None}
    assert load_recipe("transformer-temperature", alone).model.quantiles == (0.1, 0.5, 0.9)


def test_a_race_suits_every_kind_and_has_no_parameters_of_its_own() -> None:
    for name in ("digits", "machine-failure", "traffic"):
        assert load_recipe(name, {"model.network": {"family": "auto"}}).is_raced
        assert not load_recipe(name).is_raced
    wrong = {"model.network": {"family": "auto", "params": {"widths": [8]}}}
    assert (
        "name the family that they are of" in list_faults("digits", wrong)["model.network.params"]
    )


@pytest.mark.parametrize(
    ("student", "place", "message"),
    [
        ({"family": "auto"}, "family", "be a family for image rows"),
        ({"family": "trees"}, "family", "be a family for image rows"),
        ({"family": "autoencoder"}, "family", "be a family for image rows"),
        ({"family": "no_such_package:Net"}, "family", "be importable"),
        ({"params": {"depth": 3}}, "params.depth", "known here"),
        ({"family": "mlp", "params": {"widths": [0]}}, "params.widths.0", "greater than"),
    ],
)
def test_a_student_is_held_to_what_the_network_is(
    student: dict[str, object], place: str, message: str
) -> None:
    found = list_faults("digits", {"compress.student": student})
    assert list(found) == [f"compress.student.{place}"]
    assert message in found[f"compress.student.{place}"]


def test_a_threshold_is_of_two_classes() -> None:
    threshold = {"cost": {"missed": 10, "false_alarm": 1}}
    assert load_recipe("machine-failure", {"model.threshold": threshold}).model.threshold
    told = list_faults("digits", {"model.threshold": threshold})
    assert "two classes" in told["model.threshold"]
