"""What a card says of its model is held against the recipe, for every form and objective."""

from typing import Any

import pytest

from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from deployments.targets.trust.card_rules import INPUT_RULES, OUTPUT_RULES
from storage.base.registry import UnknownName
from storage.base.text_style import TextStyle

COLUMNS = (ColumnSpec(name="speed"), ColumnSpec(name="grade", vocabulary=("H", "L")))
ROW = InputSpec(form="table", name="row", dtype="float64", shape=(2,), columns=COLUMNS)
STYLED = ROW.model_copy(update={"file_style": TextStyle(delimiter=";", encoding="latin-1")})
MELT = {"columns": ["a", "b"], "name": "grade", "value": "speed"}
WIDE = TextStyle.model_validate({"delimiter": ";", "encoding": "latin-1", "melt": MELT})
MELTED = ROW.model_copy(update={"file_style": WIDE})
CLOCK = ColumnSpec(name="when", is_time=True)
DATED = ROW.model_copy(update={"shape": (3,), "columns": (*COLUMNS, CLOCK)})
WINDOW = InputSpec(
    form="series", name="window", dtype="float64", shape=(5, 3), columns=(*COLUMNS, CLOCK)
)
IMAGE = InputSpec(form="image", name="image", dtype="uint8", shape=(1, 8, 8), value_range=(0, 16))
LABEL = OutputSpec(name="label", dtype="int64", meaning="label", labels=("no", "yes"))
PROBABILITIES = OutputSpec(name="probabilities", shape=(2,), meaning="probabilities")
SCORE = OutputSpec(name="score", meaning="score")
VALUE = OutputSpec(name="values", meaning="values")
STEPS = OutputSpec(name="values", shape=(4, 1), meaning="values", labels=("speed",))

LOW, LOW_STEPS = (
    spec.model_copy(update={"name": "quantile_0.1", "meaning": "quantile 0.1"})
    for spec in (VALUE, STEPS)
)

LONG = {"lookback": 5, "horizon": 4, "lead": 1, "targets": []}
AHEAD = WINDOW.model_copy(update={"shape": (10, 3), "ahead": 5, "known": ("speed",)})


def make_recipe(**changes: Any) -> dict[str, Any]:
    data = {
        "image": {"shape": [1, 8, 8], "dtype": "uint8", "value_range": [0, 16]},
        "numbers": ["speed"],
        "texts": ["grade"],
        "labels": ["no", "yes"],
    }
    window = {"lookback": 5, "horizon": 4, "targets": []}
    style = {"delimiter": ";", "encoding": "latin-1", "header": None}
    source = {"type": "csv", **style, **changes.pop("source", {})}
    asked = {"quantiles": changes.pop("quantiles")} if "quantiles" in changes else {}
    return {
        "data": {**data, **changes},
        "model": {"window": changes.get("window", window), **asked},
        "source": source,
    }


def list_lies(claims: Any) -> list[str]:
    return [claim.what for claim in claims if claim.got != claim.expected]


@pytest.mark.parametrize(
    ("spec", "recipe", "lies"),
    [
        (IMAGE, make_recipe(), []),
        (IMAGE.model_copy(update={"shape": (3, 8, 8)}), make_recipe(), ["card's input shape"]),
        (IMAGE.model_copy(update={"dtype": "int8"}), make_recipe(), ["card's input dtype"]),
        (IMAGE.model_copy(update={"value_range": None}), make_recipe(), ["card's value range"]),
        (ROW, make_recipe(window=None), []),
        (ROW, make_recipe(window=None, texts=[]), ["card's columns"]),
        (ROW, make_recipe(), ["card's input shape"]),
        (STYLED, make_recipe(window=None), []),
        (STYLED, make_recipe(window=None, source={"delimiter": ","}), ["card's file style"]),
        (STYLED, make_recipe(window=None, source={"header": ["a"]}), ["card's file style"]),
        (STYLED, make_recipe(window=None, source={"decimal": ","}), ["card's file style"]),
        (STYLED, make_recipe(window=None, source={"decimal": ".", "skip_rows": 0}), []),
        (
            STYLED,
            make_recipe(window=None, source={"first": {"type": "npy"}}),
            ["card's file style"],
        ),
        (MELTED, make_recipe(window=None, source={"melt": MELT}), []),
        (MELTED, make_recipe(window=None), ["card's file style"]),
        (
            MELTED,
            make_recipe(window=None, source={"melt": {**MELT, "columns": ["b"]}}),
            ["card's file style"],
        ),
        # Cards of before say nothing of it, and their models are asked with long rows.
        (STYLED, make_recipe(window=None, source={"melt": MELT}), []),
        (WINDOW, make_recipe(), []),
        (WINDOW.model_copy(update={"shape": (6, 3)}), make_recipe(), ["card's input shape"]),
        (DATED, make_recipe(window=None, numbers=["speed", "when"], dates=["when"]), []),
        (
            ROW,
            make_recipe(window=None, dates=["speed"]),
            ["card's dates"],
        ),
        (AHEAD, make_recipe(window={**LONG, "known": ["speed"]}), []),
        (AHEAD, make_recipe(window=LONG), ["card's input shape", "card's rows ahead"]),
        (
            AHEAD,
            make_recipe(window={**LONG, "known": ["grade"], "lead": 2}),
            ["card's input shape", "card's rows ahead"],
        ),
        (
            WINDOW.model_copy(update={"columns": COLUMNS[:1]}),
            make_recipe(),
            ["card's columns", "card's input shape"],
        ),
    ],
)
def test_inputs(spec: InputSpec, recipe: dict[str, Any], lies: list[str]) -> None:
    assert list_lies(INPUT_RULES.find(spec.form)(spec, recipe)) == lies


def test_a_style_says_nothing_new_where_nothing_is_new() -> None:
    plain = {"delimiter": ";", "encoding": "latin-1", "header": []}
    assert STYLED.model_dump(mode="json")["file_style"] == plain
    commas = TextStyle(decimal=",")
    assert TextStyle.model_validate(commas.model_dump(mode="json")) == commas


@pytest.mark.parametrize(
    ("objective", "outputs", "recipe", "lies"),
    [
        ("classes", (LABEL, PROBABILITIES), make_recipe(), []),
        (
            "classes",
            (PROBABILITIES, LABEL),
            make_recipe(),
            ["card's outputs", "card's labels", "card's probabilities"],
        ),
        ("classes", (LABEL, PROBABILITIES), make_recipe(labels=["a", "b"]), ["card's labels"]),
        ("values", (VALUE,), make_recipe(), []),
        ("values", (STEPS,), make_recipe(), ["card's labels", "card's values"]),
        ("forecast", (STEPS,), make_recipe(), []),
        ("forecast", (STEPS,), make_recipe(numbers=["flow"]), ["card's forecast columns"]),
        ("forecast", (VALUE,), make_recipe(), ["card's forecast columns", "card's horizon"]),
        ("values", (LOW, VALUE), make_recipe(quantiles=[0.1, 0.5]), []),
        ("values", (VALUE,), make_recipe(quantiles=[0.1, 0.5]), ["card's outputs"]),
        ("values", (LOW, VALUE), make_recipe(), ["card's outputs"]),
        ("values", (LOW, VALUE), make_recipe(quantiles=[0.2, 0.5]), ["card's outputs"]),
        ("forecast", (LOW_STEPS, STEPS), make_recipe(quantiles=[0.1, 0.5]), []),
        (
            "forecast",
            (LOW, STEPS),
            make_recipe(quantiles=[0.1, 0.5]),
            ["card's forecast columns", "card's horizon"],
        ),
        ("reconstruction", (LABEL, SCORE), make_recipe(), []),
        ("reconstruction", (LABEL, SCORE), make_recipe(labels=[]), ["card's labels"]),
        ("reconstruction", (SCORE,), make_recipe(), ["card's outputs", "card's labels"]),
    ],
)
def test_outputs(
    objective: str, outputs: tuple[OutputSpec, ...], recipe: dict[str, Any], lies: list[str]
) -> None:
    assert list_lies(OUTPUT_RULES.find(objective)(outputs, recipe)) == lies


def test_forms_and_objectives_without_a_rule_are_refused() -> None:
    with pytest.raises(UnknownName, match="install the plug-in"):
        INPUT_RULES.find("smell")
    with pytest.raises(UnknownName, match="install the plug-in"):
        OUTPUT_RULES.find("smell")
