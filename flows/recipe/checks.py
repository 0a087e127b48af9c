"""What the sections of a recipe must have to do with each other: all at once, without torch."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from flows.errors import RecipeFault
from flows.recipe.model import Recipe
from gates.engine.on_fail import ROW_CHECKS, Quarantine
from lightning_modules.errors import SpecError
from lightning_modules.specs.base import is_import_path
from lightning_modules.specs.components import load_component
from lightning_modules.specs.forms import FORMS, list_augmentations
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.objectives import OBJECTIVES
from tasks.runtime.child import find_absent_packages

DEFAULT_HEAD = HeadSpec()


def check_recipe(recipe: Recipe) -> list[RecipeFault]:
    """Every fault between sections that are sound by themselves."""
    form = recipe.data.kind
    return [
        *_check_targets(recipe),
        *_check_family(recipe, form),
        *_check_columns(recipe, form),
        *_check_split(recipe),
        *_check_window(recipe, form),
        *_check_head(recipe, form),
        *_check_training(recipe, form),
        *_check_quarantines(recipe, form),
        *_check_components(recipe),
    ]


def _check_targets(recipe: Recipe) -> Iterator[RecipeFault]:
    """A channel cannot prefer what is never made."""
    made = recipe.compress.candidates
    for channel, target in recipe.targets.items():
        unknown = [name for name in target.prefer if name not in made]
        if unknown:
            remedy = f"write one of {', '.join(made)}, or add it to compress.candidates"
            yield RecipeFault(
                f"targets.{channel}.prefer",
                ", ".join(unknown),
                "name artifacts that compress makes",
                remedy,
            )


def _check_family(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    family, known = recipe.model.network.family, FORMS.find(form).families
    if family not in known and not is_import_path(family):
        remedy = f"choose one of {', '.join(known)}, or write your own as package.module:Name"
        yield RecipeFault(
            "model.network.family", repr(family), f"be a family for {recipe.data.kind} rows", remedy
        )
    reconstructs = recipe.objective == "reconstruction"
    if family in known and reconstructs != (family == "autoencoder"):
        remedy = (
            "write family: autoencoder" if reconstructs else f"choose another of {', '.join(known)}"
        )
        yield RecipeFault("model.network.family", repr(family), f"suit kind {recipe.kind}", remedy)


def _check_columns(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    data, objective = recipe.data, recipe.objective
    if objective == "classes" and len(data.labels) < 2:
        remedy = "write label: its column, and labels: [...] with two classes or more"
        yield RecipeFault(
            "data.labels", str(list(data.labels)), "name the classes to tell apart", remedy
        )
    if objective == "values" and data.target is None:
        yield RecipeFault(
            "data.target", "absent", "name the column to be predicted", "write target: its column"
        )
    if objective == "reconstruction" and data.label is not None and len(data.labels) != 2:
        remedy = "name what is normal first, as labels: [normal, broken]"
        yield RecipeFault(
            "data.labels",
            str(list(data.labels)),
            "be two, the first of them what is normal",
            remedy,
        )
    if form == "series" and data.texts:
        remedy = "leave them out, or give them as numbers"
        yield RecipeFault("data.texts", ", ".join(data.texts), "be empty for series", remedy)
    if form == "series" and not data.numbers:
        yield RecipeFault(
            "data.numbers", "[]", "name the columns of the series", "write numbers: [...]"
        )


def _check_split(recipe: Recipe) -> Iterator[RecipeFault]:
    """What a split goes by must be in the rows, and some of them must be left to choose by."""
    data, split = recipe.data, recipe.data.split
    if split.by == "time" and split.field is None and data.time is None:
        remedy = "write data.time: its column, or by: hash"
        yield RecipeFault(
            "data.split.by", "'time'", "have a time to go by; the rows have none", remedy
        )
    if split.by == "entity" and data.entity is None:
        remedy = (
            "write data.entity: its column, or by: time"
            if "entity" in type(data).model_fields
            else "write by: hash"
        )
        yield RecipeFault(
            "data.split.by", "'entity'", "have entities to go by; the rows have none", remedy
        )
    if split.by != "source" and not split.validation and split.validation_from is None:
        remedy = "write validation: 0.1"
        yield RecipeFault(
            "data.split.validation", "0", "leave rows on which the best weights are chosen", remedy
        )


def _check_window(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    window, params = recipe.model.window, recipe.model.network.params
    if (window is not None) != (form == "series"):
        remedy = "add window: {lookback: 96, horizon: 24}" if form == "series" else "remove it"
        got = "absent" if window is None else "given"
        yield RecipeFault("model.window", got, "be given for series, and for nothing else", remedy)
    if window is None:
        return
    if recipe.objective == "forecast" and not window.horizon:
        yield RecipeFault(
            "model.window.horizon", "0", "be the steps to forecast", "write a number from 1 on"
        )
    unknown = [name for name in window.targets if name not in recipe.data.numbers]
    if unknown:
        remedy = f"choose among {', '.join(recipe.data.numbers)}"
        yield RecipeFault(
            "model.window.targets", ", ".join(unknown), "be columns of data.numbers", remedy
        )
    for name, default in {"dlinear": {"kernel": 25}, "transformer": {"patch": 16}}.get(
        recipe.model.network.family, {}
    ).items():
        steps = params.get(name, default)
        if isinstance(steps, int) and steps > window.lookback:
            rule = f"be at most the lookback of {window.lookback} steps"
            yield RecipeFault(
                f"model.network.params.{name}",
                str(steps),
                rule,
                "shorten it, or lengthen the lookback",
            )


def _check_head(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    """Settings of the head that the form of the rows knows nothing of."""
    head = recipe.model.head
    suits = {
        "normalise": ("image",) if head.normalise == "range" else ("image", "table", "series"),
        "mask": ("table", "series"),
        "embed": ("table",),
        "products": ("table",),
        "differences": ("table",),
        "denoise": ("series",),
        "calendar": ("series",),
        "instance_norm": ("series",),
        "mirror": ("image",),
        "name": ("table", "series"),
    }
    for name, forms in suits.items():
        value = getattr(head, name)
        if (value != getattr(DEFAULT_HEAD, name) and form not in forms) or (
            name == "normalise" and form not in forms
        ):
            yield RecipeFault(
                f"model.head.{name}", repr(value), f"be for {' and '.join(forms)} rows", "remove it"
            )
    if form != "table":
        return
    known = recipe.data.numbers
    for name, pairs in {"products": head.products, "differences": head.differences}.items():
        for place, pair in enumerate(pairs):
            unknown = [column for column in pair if column not in known]
            if unknown:
                remedy = f"choose among {', '.join(known) or 'none; name some there'}"
                yield RecipeFault(
                    f"model.head.{name}.{place}",
                    ", ".join(unknown),
                    "be columns of data.numbers",
                    remedy,
                )
            elif name == "differences" and len(set(pair)) == 1:
                rule = "be of two columns: it is 0 everywhere else"
                yield RecipeFault(
                    f"model.head.{name}.{place}", " - ".join(pair), rule, "name another column"
                )


def _check_training(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    """Loss, metric and augmentation that suit what is learned."""
    objective = OBJECTIVES.find(recipe.objective)
    losses = objective.losses
    others = {name for row in OBJECTIVES.rows for name in row.losses if name not in losses}
    if recipe.train.loss.name in others:
        remedy = f"choose one of {', '.join(losses)}"
        yield RecipeFault(
            "train.loss.name", repr(recipe.train.loss.name), f"suit kind {recipe.kind}", remedy
        )
    labels = recipe.data.labels
    metrics = objective.list_metrics(len(labels), labelled=bool(labels))
    chosen = recipe.train.select_by
    if (
        chosen is not None
        and chosen not in ("loss", "last", *metrics)
        and not is_import_path(chosen)
    ):
        remedy = f"choose one of {', '.join(('loss', 'last', *metrics))}"
        yield RecipeFault("train.select_by", repr(chosen), f"suit kind {recipe.kind}", remedy)
    augmentation = recipe.train.augmentation.name
    suited = FORMS.find(form).augmentations
    if augmentation in list_augmentations() and augmentation not in suited:
        rule = f"suit {form} rows"
        yield RecipeFault(
            "train.augmentation.name",
            repr(augmentation),
            rule,
            f"write {' or '.join(suited)}, or leave it out",
        )


def _check_quarantines(recipe: Recipe, form: str) -> Iterator[RecipeFault]:
    """Rows can be set aside by the checks that there are for rows of this form."""
    known = ROW_CHECKS[form]
    wanted = [
        name for name, does in recipe.gates.raw.on_fail.items() if isinstance(does, Quarantine)
    ]
    if unknown := [name for name in wanted if name not in known]:
        rule = f"name checks that are about {form} rows where they quarantine"
        yield RecipeFault(
            "gates.raw.on_fail", ", ".join(unknown), rule, f"write one of: {'; '.join(known)}"
        )


def _check_components(recipe: Recipe) -> Iterator[RecipeFault]:
    """Checks that a user's own components can be imported and called.

    What they import, torch perhaps, is imported here.
    """
    named: dict[str, tuple[str, str | None]] = {
        "model.network.family": ("network family", recipe.model.network.family),
        "model.head.name": ("head", recipe.model.head.name),
        "train.loss.name": ("loss", recipe.train.loss.name),
        "train.optimizer.name": ("optimizer", recipe.train.optimizer.name),
        "train.scheduler.name": ("scheduler", recipe.train.scheduler.name),
        "train.select_by": ("metric", recipe.train.select_by),
        "train.augmentation.name": ("augmentation", recipe.train.augmentation.name),
        "data.transform": ("transform", recipe.data.transform),
    } | {
        f"gates.raw.suites.{place}": ("suite", name)
        for place, name in enumerate(recipe.gates.raw.suites)
    }
    known: dict[str, Callable[..., Any]] = {}
    own = {
        path: (what, name)
        for path, (what, name) in named.items()
        if name is not None and is_import_path(name)
    }
    packages = {path: re.split("[.:]", name)[0] for path, (_, name) in own.items()}
    absent = find_absent_packages(set(packages.values()))
    for path, (what, name) in own.items():
        try:
            load_component(name, what=what, known=known)
        except SpecError as error:
            _, _, found = str(error).partition("; got ")
            reason, _, remedy = found.partition("; ")
            yield RecipeFault(
                path,
                repr(name),
                f"be importable and callable; {reason}",
                remedy or "check the spelling",
            )
            continue
        if packages[path] in absent:
            rule = "be importable by other processes, which do not look into this one's folder"
            yield RecipeFault(
                path,
                repr(name),
                rule,
                f"install {packages[path]}, or put its folder into PYTHONPATH",
            )
