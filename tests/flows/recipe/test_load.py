"""Recipes: what is accepted, and that every fault is named at once with its path, its line, the
value and the remedy.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.errors import RecipeError
from flows.lifecycle import lifecycle
from flows.recipe.load import list_recipes, load_recipe

DIGITS = Path(__file__).resolve().parents[3] / "flows" / "recipes" / "digits.yaml"


def _write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_that_come_with_lepton_load(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert len(recipe.digest) == 64


def test_a_users_own_file_loads(tmp_path: Path) -> None:
    assert load_recipe(_write(tmp_path, DIGITS.read_text())).digest == load_recipe("digits").digest


def test_overrides_change_the_digest_and_only_their_value() -> None:
    plain, other = (
        load_recipe("digits"),
        load_recipe("digits", {"train.max_epochs": 1, "gates.model.min_accuracy": 0.5}),
    )
    assert (other.train.max_epochs, other.gates.model.min_accuracy) == (1, 0.5)
    assert other.digest != plain.digest
    assert other.train.model_copy(update={"max_epochs": plain.train.max_epochs}) == plain.train


def test_every_fault_is_reported_at_once_with_path_line_value_and_remedy(tmp_path: Path) -> None:
    text = DIGITS.read_text()
    text = text.replace("min_accuracy: 0.97", "min_accuracy: 1.5")
    text = text.replace("validation: 0.10", "validation: lots")
    text += "trian: {max_epochs: 3}\n"
    with pytest.raises(RecipeError) as caught:
        load_recipe(_write(tmp_path, text))
    faults = {fault.path: fault for fault in caught.value.faults}
    assert set(faults) == {"gates.model.min_accuracy", "data.split.validation", "trian"}
    lines = text.splitlines()
    for path, fault in faults.items():
        assert fault.line is not None
        assert path.rsplit(".", 1)[-1] in lines[fault.line - 1]
        assert fault.got in str(fault)
        assert fault.remedy
    assert faults["gates.model.min_accuracy"].got == "1.5"
    assert "less than or equal to 1" in faults["gates.model.min_accuracy"].rule
    assert "did you mean `train`" in faults["trian"].remedy


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        ({"train.max_epochs": 0}, "train.max_epochs"),
        ({"train.batch_size": "many"}, "train.batch_size"),
        ({"model.network.family": "perceptronn"}, "model.network.family"),
        ({"data.image.shape": [1, 0, 8]}, "data.image.shape"),
        ({"data.labels": ["0", "0"]}, "data.labels"),
        ({"source.type": "telepathy"}, "source.type"),
        ({"targets": {}}, "targets"),
        ({"name": "Not A Name"}, "name"),
        ({"data.split.held_out": 1.0}, "data.split.held_out"),
        ({"name.inner": 1}, "name.inner"),
        ({"gates.raw.min_rows": None}, "gates.raw.min_rows"),
        ({"targets.edge.prefer": ["int9", "fp32"]}, "targets.edge.prefer"),
        (
            {"device_classes.hub.threads": 2, "targets.edge.classes": ["hup"]},
            "targets.edge.classes",
        ),
        ({"device_classes.hub.slowdown": 0}, "device_classes.hub.slowdown"),
    ],
)
def test_an_impossible_value_is_refused_at_its_path(
    overrides: dict[str, object], path: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("digits", overrides)
    assert [fault.path for fault in caught.value.faults] == [path]
    assert caught.value.faults[0].remedy


def test_a_single_class_is_refused_in_words_of_the_recipe() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("digits", {"data.labels": ["0"]})
    assert caught.value.faults[0].rule == "have at least 2 items"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format: 2\nname: digits\n", "be 1"),
        ("name: digits\n", "be 1"),
        ("- a\n- b\n", "be a mapping of sections"),
        ("format: [1\n", "be valid YAML"),
        ("", "be a mapping of sections"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(_write(tmp_path, text))
    assert [fault.rule for fault in caught.value.faults] == [expected]


def test_a_section_of_no_known_type_is_told_which_there_are() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("digits", {"source.type": "telepathy"})
    (fault,) = caught.value.faults
    assert fault.got == "'telepathy'"
    assert fault.rule.startswith("be one of ")
    assert "sklearn" in fault.rule
    assert "Input tag" not in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match="did you mean digits"):
        load_recipe("digit")


def test_an_absent_file_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(str(tmp_path / "none.yaml"))


def test_secrets_of_a_url_are_neither_in_the_document_nor_in_a_fault() -> None:
    url = "https://user:hunter2@example.invalid/data"
    recipe = load_recipe("mnist", {"source.url": url})
    assert "hunter2" not in recipe.model_dump_json(include=set()) + str(recipe.document)
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", {"source.url": url, "source.colour": url, "train.max_epochs": url})
    assert "hunter2" not in str(caught.value)
    assert {fault.path for fault in caught.value.faults} == {"source.colour", "train.max_epochs"}
    start = {"url": url}
    assert "hunter2" not in str(load_recipe("mnist", {"train.start_from": start}).document)
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", {"train.start_from": {**start, "model": "0" * 64}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "path", "said"),
    [
        ({"model": 1234567890}, "train.start_from.model", "in quotes"),
        ({"model": "0" * 64, "url": ""}, "train.start_from", "not both"),
        (
            {"model": "0" * 64, "freeze": ["layer1"], "fresh": ["layer1.0"]},
            "train.start_from.freeze",
            "never learn",
        ),
        (
            {"model": "0" * 64, "freeze": ["layer1.0"], "fresh": ["layer1"]},
            "train.start_from.freeze",
            "never learn",
        ),
    ],
    ids=["digits alone", "two origins", "drawn inside frozen", "frozen inside drawn"],
)
def test_weights_to_start_from_that_make_no_sense_are_refused(
    start: dict[str, Any], path: str, said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", {"train.start_from": start})
    (fault,) = caught.value.faults
    assert fault.path == path
    assert said in str(caught.value)
    load_recipe(
        "mnist",
        {"train.start_from": {"model": "0" * 64, "freeze": ["layer1"], "fresh": ["layer10"]}},
    )


def test_preset_is_put_under_what_is_set_by_hand() -> None:
    plain, best = load_recipe("mnist"), load_recipe("mnist", {"train.preset": "best"})
    assert best.train.max_epochs > plain.train.max_epochs
    assert (
        load_recipe("mnist", {"train.preset": "best", "train.max_epochs": 2}).train.max_epochs == 2
    )
    # A run goes by what the preset came to, wherever the recipe travels.
    by_hand = {"train.max_epochs": 24, "model.network.params.widths": [24, 48, 96]}
    assert load_recipe(best).digest == best.digest == load_recipe("mnist", by_hand).digest


def test_every_preset_is_a_recipe() -> None:
    found = 0
    for name in list_recipes():
        document = yaml.safe_load(DIGITS.with_name(f"{name}.yaml").read_text())
        for preset, values in document.get("presets", {}).items():
            assert load_recipe(name, {"train.preset": preset}) == load_recipe(name, values)
            found += 1
    assert found >= 2


@pytest.mark.parametrize(
    ("name", "overrides", "path"),
    [
        ("digits", {"train.preset": {"a": 1}}, "train.preset"),
        ("digits", {"train.preset": [1]}, "train.preset"),
        ("digits", {"kind": {"a": 1}}, "kind"),
        ("digits", {"data.kind": [{}]}, "data.kind"),
        ("digits", {"source": {"type": "joined", "first": {"type": {}}}}, "source.first"),
        ("digits", {"model.network.family": {}}, "model.network.family"),
        ("traffic", {"model.network.params": {"dropout": [None]}}, "model.network.params.dropout"),
        ("digits", {"targets": {"edge": "\ud800"}}, "targets.edge"),
    ],
)
def test_a_value_of_any_type_in_any_place_is_a_fault_of_the_recipe(
    name: str, overrides: dict[str, Any], path: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, overrides)
    assert path in {fault.path for fault in caught.value.faults}


def test_preset_that_is_not_there_is_told_with_the_other_faults() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", {"train.preset": "bset", "train.batch_size": -1})
    faults = {fault.path: fault for fault in caught.value.faults}
    assert set(faults) == {"train.preset", "train.batch_size"}
    assert "known here: best" in faults["train.preset"].remedy
    with pytest.raises(RecipeError, match="known here: none"):
        load_recipe("digits", {"train.preset": "best"})


def test_secrets_of_a_url_are_not_told_to_prefect() -> None:
    url = "https://user:hunter2@example.invalid/data?token=hunter3"
    overrides = {
        "train.start_from": {"url": url, "fresh": ["fc"]},
        "source.url": url,
        "train.max_epochs": 3,
    }
    recipe = load_recipe("mnist", overrides)
    overrides |= {
        "source.options": {"secret": "hunter2", "keys": [{"token": "hunter2"}]},
        "source.options.key": "hunter2",
    }
    shown = lifecycle.serialize_parameters(
        {"recipe": recipe, "workspace": f"s3://{url}", "overrides": overrides}
    )
    assert "hunter" not in str(shown)
    assert shown["overrides"]["train.start_from"] == {
        "url": "https://***@example.invalid/data?token=***",
        "fresh": ["fc"],
    }
    assert shown["overrides"]["train.max_epochs"] == 3


TRAPS = """
format: 1
name: traps
kind: tabular-classification
source: {type: csv, url: rows.csv, delimeter: ";"}
data:
  numbers: [heat, [°C], 5, ~]
  texts: Werk
  label: state
  labels: [No, "yes"]
targets: {edge: {}}
"""


def test_what_yaml_takes_otherwise_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "traps.yaml").write_text(TRAPS, "utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(tmp_path / "traps.yaml"))
    told = {fault.path: str(fault) for fault in caught.value.faults}
    assert "did you mean `delimiter`" in told["source.delimeter"]
    assert "encoding" in told["source.delimeter"], "the keys of a CSV source, of no other"
    assert "put it in quotes, brackets and all" in told["data.numbers.1"]
    assert "put it in quotes" in told["data.numbers.2"]
    assert "write a text, in quotes" in told["data.numbers.3"]
    assert "put it in brackets: ['Werk']" in told["data.texts"]
    assert "YAML takes Yes, No, On and Off for true and false" in told["data.labels.0"]


def test_a_fault_of_an_option_names_the_option() -> None:
    overrides = {"train.max_epochs": -3, "model.network": {"family": "mpl"}, "train.lr": 1}
    with pytest.raises(RecipeError) as caught:
        load_recipe("digits", overrides)
    told = {fault.path: str(fault) for fault in caught.value.faults}
    assert told["train.max_epochs"].startswith("--set train.max_epochs: ")
    assert told["model.network.family"].startswith("--set model.network: ")
    assert "line" not in told["train.lr"]


@pytest.mark.parametrize(
    ("kind", "section", "family"),
    [
        ("tabular-classification", {"label": "c", "labels": ["a", "b"]}, "mlp"),
        ("tabular-regression", {"target": "c"}, "mlp"),
        ("anomaly-detection", {}, "autoencoder"),
    ],
)
def test_the_network_that_is_not_named_suits_the_kind(
    kind: str, section: dict[str, object], family: str
) -> None:
    recipe = load_recipe(
        {
            "format": 1,
            "name": "plain",
            "kind": kind,
            "source": {"type": "csv", "url": "rows.csv"},
            "data": {"kind": "table", "numbers": ["x"], **section},
            "targets": {"edge": {}},
        }
    )
    assert recipe.model.network.family == family
    assert load_recipe("digits").model.network.family == "cnn"
