"""What a card may say of a model: of its input by form, of its outputs by objective.

A card names its receipt, so the receipt cannot list the card. What the card says is held against
the recipe and the model in the signed receipt instead. A form or an objective without a rule here
is refused; a plug-in's module `targets` registers its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from deployments.targets.trust.card import NORMAL_OR_NOT, QUANTILE, InputSpec, OutputSpec
from storage.base.pictures import BLACK
from storage.base.registry import Registry
from storage.base.text_style import TextStyle

MEDIAN = 0.5


class Claim(NamedTuple):
    """Something that a card says, and what it must be by the receipt."""

    what: str
    got: object
    expected: object


Recipe = Mapping[str, Any]
InputRule = Callable[[InputSpec, Recipe], Sequence[Claim]]
OutputRule = Callable[[tuple[OutputSpec, ...], Recipe], Sequence[Claim]]

INPUT_RULES: Registry[InputRule] = Registry("form of a card's input", "targets")
"""From a card's input and the recipe's document to what the card claims of it, by form."""

OUTPUT_RULES: Registry[OutputRule] = Registry("objective of a card", "targets")
"""From a card's outputs and the recipe's document to what the card claims of them, by objective."""


def claim_image(spec: InputSpec, recipe: Recipe) -> list[Claim]:
    """List what a card says of pictures: shape, dtype and range of the raw values."""
    image = recipe["data"]["image"]
    return [
        Claim("card's input shape", list(spec.shape), list(image["shape"])),
        Claim("card's input dtype", spec.dtype, image["dtype"]),
        Claim("card's value range", list(spec.bounds), list(image["value_range"])),
        Claim("card's background", list(spec.background), list(image.get("background") or BLACK)),
    ]


def claim_rows(spec: InputSpec, recipe: Recipe) -> list[Claim]:
    """List what a card says of rows or windows of them: the columns, and how many steps."""
    data, window = recipe["data"], recipe["model"]["window"]
    dates = data.get("dates") or ()
    names = [column.name for column in spec.columns if not column.is_time or column.name in dates]
    told = [column.name for column in spec.columns if column.is_time and column.name in dates]
    ahead, known = _count_ahead(window or {})
    hashed = {column.name: len(column.vocabulary) for column in spec.columns if column.hashed}
    steps = [] if window is None else [window["lookback"] + ahead]
    styles = [] if spec.file_style is None else [_claim_style(spec.file_style, recipe["source"])]
    return [
        *styles,
        Claim("card's columns", sorted(names), sorted([*data["numbers"], *data["texts"]])),
        Claim("card's dates", sorted(told), sorted(dates)),
        Claim("card's hashed columns", hashed, (recipe["model"].get("head") or {}).get("hash", {})),
        Claim("card's input shape", list(spec.shape), [*steps, len(spec.columns)]),
        Claim("card's rows ahead", [spec.ahead, *spec.known], [ahead, *known]),
    ]


def _count_ahead(window: Recipe) -> tuple[int, list[str]]:
    """Count the rows of steps to come of which something is known, and name what is."""
    known = list(window.get("known") or ())
    return (window.get("lead", 0) + window["horizon"] if known else 0), known


def claim_classes(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> list[Claim]:
    """List what a card says of classes: a label, and a probability for each name of the recipe."""
    named = _name_labels(recipe)
    return [
        _claim_meanings(outputs, ["label", "probabilities"]),
        Claim("card's labels", list(outputs[0].labels), named),
        Claim("card's probabilities", list(outputs[-1].shape), [len(named)]),
    ]


def claim_values(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> list[Claim]:
    """List what a card says of a regression: one value a sample."""
    return [
        _claim_quantiles(outputs, recipe),
        *(Claim("card's labels", list(output.labels), []) for output in outputs),
        *(Claim("card's values", list(output.shape), []) for output in outputs),
    ]


def claim_forecast(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> list[Claim]:
    """List what a card says of a forecast: the columns, and how many steps ahead."""
    window = recipe["model"]["window"]
    known = window.get("known") or ()
    numbers = [name for name in recipe["data"]["numbers"] if name not in known]
    columns = list(window["targets"] or numbers)
    shape = [window["horizon"], len(columns)]
    return [
        _claim_quantiles(outputs, recipe),
        *(Claim("card's forecast columns", list(output.labels), columns) for output in outputs),
        *(Claim("card's horizon", list(output.shape), shape) for output in outputs),
    ]


def claim_reconstruction(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> list[Claim]:
    """List what a card says of an anomaly detector: a label of two, and a score."""
    named = _name_labels(recipe) or list(NORMAL_OR_NOT)
    return [
        _claim_meanings(outputs, ["label", "score"]),
        Claim("card's labels", list(outputs[0].labels), named),
        Claim("card's score", list(outputs[-1].shape), []),
    ]


def _claim_style(style: TextStyle, source: Recipe) -> Claim:
    """Say what a card says of files: as they were that were learned from."""
    first = source.get("first", source)
    expected = TextStyle.of_source(first)
    if style.melt is None:
        # Cards were written that say nothing of it: their models are asked with long rows alone.
        expected = expected.model_copy(update={"melt": None})
    said, wanted = (each.model_dump(mode="json") for each in (style, expected))
    return Claim("card's file style", said, wanted)


def _claim_quantiles(outputs: tuple[OutputSpec, ...], recipe: Recipe) -> Claim:
    """Say that a card has the quantiles beside the median that the recipe asks for."""
    levels = [level for level in recipe["model"].get("quantiles") or () if level != MEDIAN]
    return _claim_meanings(outputs, [*(f"{QUANTILE}{level:g}" for level in levels), "values"])


def _claim_meanings(outputs: tuple[OutputSpec, ...], expected: list[str]) -> Claim:
    return Claim("card's outputs", [output.meaning for output in outputs], expected)


def _name_labels(recipe: Recipe) -> list[str]:
    return [str(label) for label in recipe["data"]["labels"]]


INPUT_RULES.register("image", claim_image)
INPUT_RULES.register("table", claim_rows)
INPUT_RULES.register("series", claim_rows)
OUTPUT_RULES.register("classes", claim_classes)
OUTPUT_RULES.register("values", claim_values)
OUTPUT_RULES.register("forecast", claim_forecast)
OUTPUT_RULES.register("reconstruction", claim_reconstruction)
