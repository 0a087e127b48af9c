"""How an answer is told: as named outputs for programs and as a line of text for people.

Found by the objective on a model's card. A plug-in's module `targets` registers its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue

from deployments.targets.run.runtime import Answers
from deployments.targets.trust.card import QUANTILE, OutputSpec
from storage.base.registry import Registry


class Output(BaseModel):
    """One thing that a model says of a sample.

    Attributes:
        name: Its key in `lepton predict --json`.
        value: What it is, as JSON.
        meaning: The meaning of the card's output that it was read from.
        unit: Unit of its numbers: "1" for probabilities and scores; "" for the source's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: JsonValue
    meaning: str
    unit: str = "1"


Outputs = tuple[Output, ...]
MOST_LISTED = 100
"""Classes whose probabilities an answer lists: of more the most probable ones."""


@dataclass(frozen=True)
class Teller:
    """How the answers of one objective are told.

    Attributes:
        list_outputs: From the answers and the place of a sample among them to what is said of it.
        say: From what is said of a sample to one line of text.
        count_steps: How many steps to come the answers are of; 0: they are of now.
    """

    list_outputs: Callable[[Answers, int], Outputs]
    say: Callable[[Outputs], str]
    count_steps: Callable[[Answers], int] = lambda _: 0


def list_class(answers: Answers, row: int) -> Outputs:
    """List the class that is answered, its probability, and those of the classes by name."""
    label, name = _read_label(answers, row)
    labels = _find_spec(answers, "label").labels
    shares = np.clip(answers.values[row], 0.0, 1.0)
    listed: Sequence[int] = range(len(labels))
    if len(labels) > MOST_LISTED:
        listed = sorted(np.argsort(-shares, kind="stable")[:MOST_LISTED].tolist())
    named: dict[str, JsonValue] = {labels[place]: float(shares[place]) for place in listed}
    return (
        name,
        Output(name="confidence", value=float(shares[label]), meaning="probabilities"),
        Output(name="probabilities", value=named, meaning="probabilities"),
    )


def list_anomaly(answers: Answers, row: int) -> Outputs:
    """List whether a sample is normal, and how unlike what is normal it is."""
    _, name = _read_label(answers, row)
    return (name, Output(name="score", value=float(answers.values[row]), meaning="score"))


def list_value(answers: Answers, row: int) -> Outputs:
    """List the one value that a regression answers with, and its quantiles."""
    return _list_numbers(answers, "value", lambda spec: float(answers.arrays[spec.name][row]))


def list_forecast(answers: Answers, row: int) -> Outputs:
    """List the next steps of each column that is forecast, and their quantiles."""

    def read(spec: OutputSpec) -> JsonValue:
        steps = answers.arrays[spec.name][row]
        return {name: steps[:, place].tolist() for place, name in enumerate(spec.labels)}

    return _list_numbers(answers, "forecast", read)


def count_forecast(answers: Answers) -> int:
    """Return how many steps are forecast."""
    return len(answers.arrays[_find_spec(answers, "values").name][0])


def _list_numbers(answers: Answers, name: str, read: Callable[[OutputSpec], JsonValue]) -> Outputs:
    """List what the values are under a name, then by each quantile, if there are some."""
    spec = _find_spec(answers, "values")
    values = Output(name=name, value=read(spec), meaning=spec.meaning, unit=spec.unit)
    bands: dict[str, JsonValue] = {
        found.meaning.removeprefix(QUANTILE): read(found)
        for found in answers.outputs
        if found.meaning.startswith(QUANTILE)
    }
    if not bands:
        return (values,)
    return (values, Output(name="quantiles", value=bands, meaning=QUANTILE.strip(), unit=spec.unit))


def _read_label(answers: Answers, row: int) -> tuple[int, Output]:
    spec = _find_spec(answers, "label")
    label = int(answers.arrays[spec.name][row])
    return label, Output(name="label", value=spec.labels[label], meaning="label")


def _find_spec(answers: Answers, meaning: str) -> OutputSpec:
    return next(spec for spec in answers.outputs if spec.meaning == meaning)


def say_class(outputs: Outputs) -> str:
    """Say the class, and how probable it is."""
    label, confidence = (output.value for output in outputs[:2])
    return f"{label}  {confidence:.1%}"


def say_anomaly(outputs: Outputs) -> str:
    """Say whether a sample is normal, and its score."""
    label, score = (output.value for output in outputs)
    return f"{label} (score {score:.4g})"


def say_value(outputs: Outputs) -> str:
    """Say the value, and its quantiles."""
    said = [f"{outputs[0].value:.6g}", *(f"{level}: {v:.6g}" for level, v in _list_bands(outputs))]
    return "  ".join(said)


def say_forecast(outputs: Outputs) -> str:
    """Say the steps of each column, and their quantiles."""
    bands = [(f" {level}", steps) for level, steps in _list_bands(outputs)]
    told: list[tuple[str, Any]] = [("", outputs[0].value), *bands]
    return "; ".join(
        f"{name}{level}: {', '.join(f'{value:.6g}' for value in steps[name])}"
        for name in told[0][1]
        for level, steps in told
    )


def _list_bands(outputs: Outputs) -> list[tuple[str, Any]]:
    """List what is said of each quantile."""
    bands: Any = outputs[1].value if len(outputs) > 1 else {}
    return list(bands.items())


ANSWERS: Registry[Teller] = Registry("objective of a model", "targets")
"""How answers are told, by objective."""

ANSWERS.register("classes", Teller(list_class, say_class))
ANSWERS.register("values", Teller(list_value, say_value))
ANSWERS.register("forecast", Teller(list_forecast, say_forecast, count_forecast))
ANSWERS.register("reconstruction", Teller(list_anomaly, say_anomaly))
