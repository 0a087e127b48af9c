"""Who takes part in the race that `model.network.family: auto` asks for, as plain data.

A family takes part with its defaults, unless `ENTRIES` says with what else, or that it does not: a
plug-in's families take part without a word.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lightning_modules.specs.base import Spec
from lightning_modules.specs.families import DEFAULT_FAMILIES
from lightning_modules.specs.forms import FORMS, SampleForm
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.training import OptimizerSpec, TrainSpec

FORECAST = ("forecast",)


@dataclass(frozen=True)
class Entry:
    """One way in which a family takes part.

    Attributes:
        params: Its parameters.
        head: Settings of the head, where the form knows them.
        lr: Peak learning rate, where the recipe leaves the default.
        objectives: What it takes part for; empty for whatever the family suits.
        seasonal: Whether the window's season is a parameter; without one there is no such entry.
        started: Whether it takes part only where weights are given to start from.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    lr: float | None = None
    objectives: tuple[str, ...] = ()
    seasonal: bool = False
    started: bool = False


_BY_WINDOW = {"instance_norm": True}
ENTRIES: Mapping[tuple[str, str], tuple[Entry, ...]] = {
    ("image", "cnn"): (Entry(), Entry({"stem_stride": 2}), Entry({"widths": [24, 48, 96]})),
    ("image", "resnet"): (
        Entry({"blocks": [1, 1, 1], "widths": [8, 16, 32], "dropout": 0.2}, lr=2e-3),
        Entry(),
    ),
    ("image", "rnn"): (),
    # Of random filters its features are worth little.
    ("image", "linear_probe"): (Entry(started=True),),
    ("image", "transformer"): (Entry(lr=1e-3),),
    # Least squares gives at once what its steps would end in.
    ("table", "linear"): (),
    ("table", "mlp"): (
        Entry(),
        Entry({"widths": [96, 96], "dropout": 0.2, "members": 8, "waves": 16}, lr=1e-2),
    ),
    ("table", "autoencoder"): (Entry(), Entry({"code": 3})),
    ("table", "trees"): (
        Entry(),
        Entry({"trees": 200, "rate": 0.05, "leaves": 15}),
        Entry({"trees": 400, "rate": 0.03, "leaves": 8}),
    ),
    ("series", "linear"): (),
    ("series", "dlinear"): (Entry(), Entry(head=_BY_WINDOW)),
    ("series", "mlp"): (
        Entry(),
        Entry(head=_BY_WINDOW, objectives=FORECAST),
        Entry({"widths": [128, 128], "mix": True}, objectives=FORECAST),
    ),
    ("series", "rnn"): (Entry({"width": 48}),),
    ("series", "transformer"): (
        Entry(lr=1e-3),
        Entry(head=_BY_WINDOW, lr=1e-3, objectives=FORECAST),
    ),
    ("series", "autoencoder"): (Entry(), Entry({"code": 3})),
    ("series", "closed_linear"): (Entry(), Entry(head=_BY_WINDOW, objectives=FORECAST)),
    ("series", "seasonal_naive"): (Entry(), Entry(seasonal=True)),
}


class Entrant(Spec):
    """A network that takes part, whole: what would be trained if it won."""

    name: str
    """Family and what of it is not a default, such as "trees, rate 0.05"."""
    model: ModelSpec
    """Head and network."""
    train: TrainSpec
    """How it learns."""


def list_entrants(
    form: str, objective: str, model: ModelSpec, train: TrainSpec
) -> tuple[Entrant, ...]:
    """Returns all that suit a form of rows and what is asked of them, each once.

    Args:
        form: Name of the form of samples.
        objective: What is asked.
        model: The recipe's head and window.
        train: How the recipe says that networks learn.
    """
    row, asked = FORMS.find(form), OBJECTIVES.find(objective)
    found: dict[str, Entrant] = {}
    for family, params in row.families.items():
        if not params.suits(asked.name, restores=asked.restores):
            continue
        for entry in ENTRIES.get((form, family), (Entry(),)):
            if entry.objectives and objective not in entry.objectives:
                continue
            for entrant in _make(family, entry, row, model, train):
                found.setdefault(entrant.name, entrant)
    return tuple(found.values())


def find_default(entrants: Iterable[Entrant]) -> Entrant | None:
    """Returns the one that a recipe would get that names no family; None where it is not there."""
    by_name = {each.name: each for each in entrants}
    return next((by_name[name] for name in DEFAULT_FAMILIES if name in by_name), None)


def _make(
    family: str, entry: Entry, form: SampleForm, model: ModelSpec, train: TrainSpec
) -> Iterator[Entrant]:
    """Yields an entry over a recipe; nothing where it does not fit the window."""
    window, params = model.window, dict(entry.params)
    if entry.started and train.start_from is None:
        return
    if entry.seasonal:
        if window is None or window.season is None or window.season == 1:
            return
        params["season"] = window.season
    try:
        known = form.families[family].model_validate(params)
    except ValidationError:
        return
    if window is not None and any(getattr(known, n) > window.lookback for n in known.steps):
        return
    head = {name: value for name, value in entry.head.items() if name in form.head_settings}
    chosen = model.model_copy(
        update={
            "head": HeadSpec.model_validate(model.head.model_dump() | head),
            "network": NetworkSpec(family=family, params=params),
        }
    )
    told = [*params.items(), *((name, value) for name, value in head.items() if value is not True)]
    on = [name.replace("_", " ") for name, value in head.items() if value is True]
    name = ", ".join([family, *(f"{key} {value}" for key, value in told), *on])
    yield Entrant(name=name, model=chosen, train=_set_rate(train, entry.lr))


def _set_rate(train: TrainSpec, rate: float | None) -> TrainSpec:
    """Returns the training with a family's own learning rate, where the recipe says none."""
    optimizer = train.optimizer
    if rate is None or optimizer != OptimizerSpec():
        return train
    return train.model_copy(update={"optimizer": optimizer.model_copy(update={"lr": rate})})
