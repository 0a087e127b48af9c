"""Drafts a recipe for the rows of a table: a class or a number that is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, TARGET
from storage.pipeline.splits import HELD_OUT, TRAIN, VALIDATION
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from tasks.drafting.columns import Column
from tasks.drafting.draft import Draft, Sections, assemble, leave_to_race
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import Roles
from tasks.drafting.leaks import find_leaks
from tasks.drafting.limits import (
    allow_baseline,
    allow_classifier,
    count_splits,
    floor_share,
    limit_small_splits,
    round_down,
    round_up,
)
from tasks.drafting.race import BOOSTED, Raced, make_features, race_classes, race_values
from tasks.drafting.raw_limits import drop_prepared, limit_raw, measure_contrary
from tasks.drafting.rows import choose_split, describe_columns, read_rows
from tasks.drafting.tables import Looked

CLASSES = "tabular-classification"
RARE_SHARE = 0.1


def draft_tabular(
    looked: Looked, roles: Roles, missing: Sequence[str], name: str, notes: Notes
) -> Draft:
    """Draft a recipe that asks rows for a class or a number.

    Raises:
        DraftError: Nothing is left to learn from, or no answers to learn.
    """
    answer = roles.answer
    if answer is None:
        raise DraftError("--target (absent) must name the column that is asked for; give one")
    classes = roles.kind == CLASSES
    roles = _leave_out_leaks(roles, answer, classes=classes, notes=notes)
    section = describe_columns(roles, missing)
    section |= _describe_answer(answer, classes=classes, notes=notes)
    spec, rows = read_rows(looked.table, section)
    splits, section["split"] = choose_split(looked, roles, spec, rows, notes)
    gates: dict[str, Any] = {
        "raw": limit_raw(rows, spec, notes),
        "prepared": limit_small_splits(count_splits(splits)),
    }
    if gates["prepared"]:
        why = "the rows are few: what so few held-out rows show, they show with wide intervals"
        notes.add("gates.prepared", "smaller splits", UNSURE, why)
    if classes:
        gates["prepared"] |= drop_prepared(measure_contrary(rows), notes)
    held_out = int((splits == HELD_OUT).sum())
    raced, gates["model"] = _race(rows, spec, splits, classes=classes, notes=notes)
    gates["model"] |= _limit_skill(raced, held_out, notes)
    network, train = _choose_network(raced, rows, spec, splits, notes)
    sections = Sections(
        f"{roles.kind} of {answer.name}, drafted from {looked.table.num_rows} rows.",
        looked.source,
        section,
        gates,
        _leave_out_mask(rows) | {"network": network},
        train,
    )
    return assemble(name, roles.kind, sections, notes)


def _choose_network(
    raced: Raced, rows: Rows, spec: RowsSpec, splits: NDArray[np.int8], notes: Notes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the network, left to a race where enough rows validate, and how it learns."""
    labels = rows[LABEL][splits == VALIDATION] if LABEL in rows else np.zeros(0, np.int64)
    judged = int((splits == VALIDATION).sum())
    counts = np.bincount(labels[labels >= 0], minlength=len(spec.labels))
    rarest = int(counts.min()) if spec.labels else judged
    if (race := leave_to_race(judged, rarest, raced.family, notes)) is None:
        network = {"family": raced.family, "params": dict(raced.params)}
        return {key: value for key, value in network.items() if value}, {}
    rare = "average_precision" in raced.figures and rarest < RARE_SHARE * judged
    return race, {"select_by": "average_precision"} if rare and raced.recalls[2:] == () else {}


def _leave_out_mask(rows: Rows) -> dict[str, Any]:
    """Return a head that is told nothing of missing numbers, where none are missing."""
    whole = NUMBERS not in rows or bool(rows[NUMBERS + VALID_SUFFIX].all())
    return {"head": {"mask": False}} if whole else {}


def _race(
    rows: Rows, spec: RowsSpec, splits: NDArray[np.int8], *, classes: bool, notes: Notes
) -> tuple[Raced, dict[str, Any]]:
    """Return what did best on training rows, and the limits that follow."""
    held_out = int((splits == HELD_OUT).sum())
    known = rows[LABEL] >= 0 if classes else np.isfinite(rows[TARGET])
    train = (splits == TRAIN) & known
    features = make_features(rows, spec)[train]
    if not classes:
        raced = race_values(features, rows[TARGET][train], held_out)
        return raced, _limit_values(raced, notes)
    labels, count = rows[LABEL][train], len(spec.labels)
    rarest = float(np.bincount(labels, minlength=count).min())
    rare = count == 2 and rarest < RARE_SHARE * len(labels)
    raced = race_classes(features, labels, count, held_out, rare=rare)
    return raced, _limit_classes(raced, held_out, rare=rare, notes=notes)


def tell_left_out(roles: Roles, notes: Notes) -> None:
    """Tell which columns are left out, and why."""
    for name, why in roles.left_out.items():
        notes.add("data.numbers", f"without {name}", LIKELY, why)


def _leave_out_leaks(roles: Roles, answer: Column, *, classes: bool, notes: Notes) -> Roles:
    leaks = find_leaks([*roles.numbers, *roles.texts], answer, classes=classes)
    for name, why in leaks.items():
        notes.add("data.numbers", f"without {name}", UNSURE, f"it may give the answer away: {why}")
    numbers = tuple(column for column in roles.numbers if column.name not in leaks)
    texts = tuple(column for column in roles.texts if column.name not in leaks)
    if not numbers and not texts:
        raise DraftError(
            f"target ({answer.name}) must be what other columns only hint at; got columns that "
            f"give it away: {'; '.join(f'{name}: {why}' for name, why in leaks.items())}"
        )
    return replace(roles, numbers=numbers, texts=texts)


def _describe_answer(answer: Column, *, classes: bool, notes: Notes) -> dict[str, Any]:
    if not classes:
        return {"target": answer.name}
    labels = answer.list_classes()
    if len(labels) < 2:
        raise DraftError(f"target ({answer.name}) must hold two classes or more; got {labels}")
    shown = [f"{text} ({answer.counts[answer.texts.index(text)]})" for text in labels]
    notes.add("data.labels", shown[:20], SURE, "its values, and how many rows have each")
    few = [text for text in labels if answer.counts[answer.texts.index(text)] < 15]
    if few:
        remedy = "so few rows of a class may be missing in a split, which the gates refuse: put "
        remedy += "classes together in the file, or leave them out: filter: [{field: ..., none_of}]"
        notes.add("data.labels", few, UNKNOWN, remedy)
    return {"label": answer.name, "labels": labels}


def _limit_classes(raced: Raced, held_out: int, *, rare: bool, notes: Notes) -> dict[str, Any]:
    accuracy = raced.figures["accuracy"]
    limits: dict[str, Any] = {"min_accuracy": floor_share(accuracy, raced.rows, held_out)}
    seen = f"{raced.family} answered {accuracy:.1%} right in cross-validation on training rows"
    notes.add("gates.model", f"min_accuracy {limits['min_accuracy']}", LIKELY, seen)
    if rare:
        ranked = raced.figures["average_precision"]
        limits["min_gain_over_majority"] = None
        limits["min_average_precision"] = max(0.01, round_down(ranked * 0.75))
        why = f"a class is rare, so accuracy says little; {raced.family} reached {ranked:.3f}"
        shown = f"min_average_precision {limits['min_average_precision']}"
        notes.add("gates.model", shown, LIKELY, why)
    elif raced.proven and accuracy - raced.scale < 0.13:
        limits["min_gain_over_majority"] = max(0.0, round_down((accuracy - raced.scale) / 2, 1))
        why = f"the commonest class alone is {raced.scale:.1%} of the rows"
        shown = f"min_gain_over_majority {limits['min_gain_over_majority']}"
        notes.add("gates.model", shown, LIKELY, why)
    if (least := min(raced.recalls)) < 0.65:
        limits["min_slice_accuracy"] = max(0.0, round_down(least * 0.6, 1))
        why = f"of the class that is hardest {least:.0%} were found"
        shown = f"min_slice_accuracy {limits['min_slice_accuracy']}"
        notes.add("gates.model", shown, UNSURE, why)
    return limits


def _limit_values(raced: Raced, notes: Notes) -> dict[str, Any]:
    error = raced.figures["mae"]
    limit = round_up(min(error * 1.3, raced.scale))
    why = f"{raced.family} erred by {error:.4g} on training rows left out; their mean by "
    notes.add("gates.model", f"max_mae {limit}", LIKELY, f"{why}{raced.scale:.4g}")
    return {"max_mae": limit} if limit else {}


def _limit_skill(raced: Raced, held_out: int, notes: Notes) -> dict[str, Any]:
    """Return how much better than the linear baseline the model must be, as rows can show it."""
    shown = ", ".join(f"{name} {figure:.4g}" for name, figure in raced.others.items())
    why = f"raced on {raced.rows} training rows: {shown}"
    if not raced.proven:
        # What is as good as a baseline ships only where that baseline is worth something.
        notes.add("model.network", raced.family, UNSURE, why)
        why = (
            "nothing quick is surely better than always the same answer, so the gate will stop the "
        )
        why += "model: give rows or columns that say more of the answer, or another --target"
        notes.add("gates.model", "left as they are", UNKNOWN, why)
        return {}
    if raced.family != BOOSTED:
        notes.add("model.network", raced.family, LIKELY, why)
        accuracy = raced.figures.get("accuracy")
        limits: dict[str, Any] = (
            allow_baseline(held_out)
            if accuracy is None
            else allow_classifier(accuracy, raced.rows, held_out)
        )
        why = (
            "the network is the linear baseline itself and need not beat it; the fewer rows judge, "
        )
        why += "the more of a difference is chance: tighten both where there are many"
        told = [f"{limit} {value}" for limit, value in limits.items()]
        notes.add("gates.model", told, UNSURE, why)
        return limits
    notes.add("model.network", raced.family, LIKELY, why)
    end = raced.estimate_skill_end(held_out)
    if end > 0.01:
        return {}
    margin = -round_up(max(0.02, raced.spread / max(1, held_out) ** 0.5 - end), 1)
    why = f"{held_out} held-out rows are too few to show a skill of {raced.skill:.2f} for sure"
    notes.add("gates.model", f"min_skill_lower_bound {margin}", UNSURE, why)
    return {"min_skill_lower_bound": margin}
