"""Drafts a recipe that asks windows of series for a class or a number, or how much life is left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME
from storage.pipeline.splits import HELD_OUT, TRAIN, VALIDATION
from storage.shards.row_ids import LABEL, Rows
from tasks.drafting.draft import Draft, Sections, assemble
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import Roles, choose_inputs
from tasks.drafting.limits import choose_shares, count_splits, limit_small_splits, round_up
from tasks.drafting.lookback import choose_lookback, choose_stride
from tasks.drafting.raw_limits import limit_raw
from tasks.drafting.roles import is_class
from tasks.drafting.rows import describe_time, read_rows, split_rows
from tasks.drafting.tables import Looked
from tasks.drafting.window_limits import limit_windows
from tasks.drafting.window_race import LINEAR, WindowRace, Windows, race_windows
from tasks.drafting.window_training import choose_training

CLASSES, VALUES = "series-classification", "series-regression"
LEAST_ENTITIES = 6
MOST_TRAINED = 12_000
"""Windows that an epoch has at most, about: neighbours are much alike."""
LEAST_JUDGED, SEEDS, MOST_DRAWN, MANY_GROUPS = 60, 20, 20_000, 100


def prefer_series(roles: Roles, columns: Sequence[Any], kind: str | None, notes: Notes) -> Roles:
    """Return roles of a series where a table's class is one of whole entities of rows in time."""
    entity, answer = roles.entity, roles.answer
    if kind is not None or roles.kind != "tabular-classification" or answer is None:
        return roles
    if entity is None or roles.time is None or not roles.step_ns or not is_class(answer):
        return roles
    pairs = len(np.unique(np.stack([entity.codes, answer.codes]), axis=1).T)
    if entity.distinct < LEAST_ENTITIES or pairs > 1.02 * entity.distinct:
        return roles
    why = f"each of {entity.distinct} {entity.name} has one {answer.name} for all its rows in time"
    notes.add("kind", CLASSES, LIKELY, why)
    return choose_inputs(columns, replace(roles, kind=CLASSES))


def draft_windows(
    looked: Looked, roles: Roles, missing: Sequence[str], name: str, notes: Notes
) -> Draft:
    """Draft a recipe for rows that follow each other in time.

    Raises:
        DraftError: There is no time, no answer, or too few rows for any window.
    """
    if roles.time is None or roles.answer is None:
        raise DraftError(
            f"kind ({roles.kind}) must have a column of the time, or one that counts the rows of "
            "each entity, and an answer; got none; write one into the file, and give --target"
        )
    section = _describe(roles, missing)
    section |= _describe_answer(roles, notes)
    spec, rows, splits, section["split"] = _split(looked, roles, section, notes)
    lookback = choose_lookback(rows, notes)
    windows, places = cut_rows(rows, lookback, len(spec.labels))
    return draft_cut(
        Cut(looked.source, section, spec, rows, splits, windows, splits[places], lookback),
        name,
        roles.kind,
        notes,
    )


class Cut:
    """Rows that were cut into windows, and what the recipe says of them."""

    def __init__(
        self,
        source: Mapping[str, Any],
        section: Mapping[str, Any],
        spec: RowsSpec,
        rows: Rows,
        row_splits: NDArray[np.int8],
        windows: Windows,
        splits: NDArray[np.int8],
        lookback: int,
    ) -> None:
        self.source, self.section, self.spec = source, section, spec
        self.rows, self.row_splits = rows, row_splits
        self.windows, self.splits, self.lookback = windows, splits, lookback

    def count(self, split: int) -> int:
        """Return the windows of a split."""
        return int((self.splits == split).sum())


def draft_cut(cut: Cut, name: str, kind: str, notes: Notes) -> Draft:
    """Draft a recipe for windows.

    Raises:
        DraftError: A split has no window.
    """
    counts = [cut.count(split) for split in (TRAIN, VALIDATION, HELD_OUT)]
    if min(counts) < 1 or counts[0] < 20:
        raise DraftError(
            f"source must hold windows of {cut.lookback} steps to learn from, to choose by and to "
            f"be judged on; got {counts[0]}, {counts[1]} and {counts[2]}; bring more rows, or "
            "entities"
        )
    raced = race_windows(cut.windows.take(np.flatnonzero(cut.splits == TRAIN)))
    judged = cut.windows.groups[cut.splits == HELD_OUT]
    gates: dict[str, Any] = {
        "raw": limit_raw(cut.rows, cut.spec, notes) | limit_repeated(cut.rows, notes),
        "prepared": limit_small_splits(count_splits(cut.row_splits)),
        "model": limit_windows(raced, judged, notes),
    }
    model, train = _describe_model(cut, raced, counts, notes)
    sections = Sections(
        f"{kind} by windows of {cut.lookback} steps, drafted from {len(cut.row_splits)} rows.",
        cut.source,
        cut.section,
        gates,
        model,
        train,
    )
    return assemble(name, kind, sections, notes)


def _describe(roles: Roles, missing: Sequence[str]) -> dict[str, Any]:
    section: dict[str, Any] = {"kind": "series", **describe_time(roles)}
    if roles.entity is not None:
        section["entity"] = roles.entity.name
    section["numbers"] = [column.name for column in roles.numbers]
    return section | ({"missing": list(missing)} if missing else {})


def _describe_answer(roles: Roles, notes: Notes) -> dict[str, Any]:
    answer, time = roles.answer, roles.time
    if answer is None or time is None:
        return {}
    if roles.kind == CLASSES:
        labels = answer.list_classes()
        shown = [f"{text} ({answer.counts[answer.texts.index(text)]} rows)" for text in labels]
        notes.add("data.labels", shown[:20], SURE, "its values")
        return {"label": answer.name, "labels": labels}
    if answer is not time:
        if answer.numbers is None:
            raise DraftError(f"--target ({answer.name}) must hold numbers to be predicted")
        return {"target": answer.name}
    lives = (
        np.bincount(roles.entity.codes) if roles.entity is not None else np.array([len(time.codes)])
    )
    cap = round_up(0.6 * float(np.median(lives)), 2)
    why = f"lives last {lives.min()} to {lives.max()}; of what is new nobody can tell how long it "
    why += "will last: what is above the cap counts as the cap"
    notes.add("data.target", f"remaining {answer.name}, cap {cap:g}", UNSURE, why)
    return {"target": {"remaining": answer.name, "cap": cap}}


def _split(
    looked: Looked, roles: Roles, section: Mapping[str, Any], notes: Notes
) -> tuple[RowsSpec, Rows, NDArray[np.int8], dict[str, Any]]:
    """Return rows and their splits: entities whole, each class in each split if it can be."""
    held_out, validation = share_groups(0 if roles.entity is None else roles.entity.distinct)
    if roles.entity is None or roles.entity.distinct < LEAST_ENTITIES:
        split: dict[str, Any] = {"by": "time", "held_out": held_out, "validation": validation}
        why = "the last times are held out: entities are too few to hold some out whole"
    else:
        split = {"by": "entity", "held_out": held_out, "validation": validation}
        why = f"rows of one {roles.entity.name} resemble each other and must stay together"
    if {"train", "held_out"} <= looked.splits.keys():
        split = {"by": "source"} | (
            {} if "validation" in looked.splits else {"validation": validation}
        )
        why = "the source's files say which rows are held out"
        if roles.answer is roles.time:
            hint = "if the rows of the held-out file stop before the end, name a column of what "
            hint += "was left then as beyond, as in target: {remaining: cycle, beyond: left}"
            notes.add("data.target", "until the last row", UNKNOWN, hint)
    spec, rows = read_rows(looked.table, {**section, "split": split})
    draw = partial(split_rows, looked, spec, rows=rows)
    if split["by"] == "entity":
        # One row in so many tells as much of where entities go.
        some = {key: values[:: max(1, len(values) // MOST_DRAWN)] for key, values in rows.items()}
        split = choose_seed(split, partial(split_rows, looked, spec, rows=some), some.get(LABEL))
    notes.add("data.split", f"by {split['by']}", LIKELY, why)
    return spec, rows, draw(split), split


def share_groups(groups: int) -> tuple[float, float]:
    """Return which shares of groups are held out, and validate: of few ones more."""
    return choose_shares(0 if groups < MANY_GROUPS else 1 << 30)


def choose_seed(
    split: Mapping[str, Any],
    draw: Callable[[Mapping[str, Any]], NDArray[np.int8]],
    labels: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """Return the split with the seed by which few groups come nearest to the shares asked for.

    Args:
        split: The split.
        draw: Gives the split of each row by a split's seed.
        labels: Classes of the rows, each of which every split should have; None for none.
    """
    held_out = split.get("held_out", 0.0)
    asked = (held_out, split.get("validation", 0.0) * (1 - held_out))

    def rate(seed: int) -> float:
        sides = draw({**split, "seed": seed})
        shares = [float((sides == side).mean()) for side in (HELD_OUT, VALIDATION)]
        far = [abs(share - one) for share, one in zip(shares, asked, strict=True) if one]
        if labels is not None:
            every = set(labels[labels >= 0].tolist())
            found = [set(labels[sides == side].tolist()) for side in np.unique(sides)]
            far += [float(len(every - of_side)) for of_side in found]
        return float(sum(far))

    best = min(range(SEEDS), key=rate)
    return {**split, **({"seed": best} if best else {})}


def cut_rows(
    rows: Rows, lookback: int, classes: int, stride: int | None = None
) -> tuple[Windows, NDArray[np.intp]]:
    """Return the windows of rows, and the place of the last row of each."""
    order = np.lexsort((rows[TIME], rows[SERIES_ID]))
    entities = rows[SERIES_ID][order]
    stride = stride or max(len(order) // (4 * MOST_TRAINED), choose_stride(lookback))
    starts = np.arange(max(0, len(order) - lookback + 1))
    starts = starts[entities[starts] == entities[starts + lookback - 1]]
    firsts = np.searchsorted(entities, entities[starts], side="left")
    starts = starts[(starts - firsts) % stride == 0]
    last = order[starts + lookback - 1]
    answers = rows[LABEL][last] if classes else rows[TARGET][last]
    known = answers >= 0 if classes else np.isfinite(answers)
    starts, last = starts[known], last[known]
    values = rows[NUMBERS][order[starts[:, None] + np.arange(lookback)]]
    return Windows(values, answers[known], entities[starts], classes), last


def limit_repeated(rows: Rows, notes: Notes) -> dict[str, Any]:
    """Return the limit for rows that repeat a time of their entity."""
    pairs = np.stack([rows[SERIES_ID], rows[TIME]], axis=1)
    repeated = 1 - len(np.unique(pairs, axis=0)) / max(1, len(pairs))
    if repeated <= 0.0008:
        return {}
    limit = min(1.0, round_up(repeated * 1.5, 1))
    notes.add("gates.raw", f"max_repeated_time_fraction {limit}", UNSURE, f"{repeated:.2%} repeat")
    return {"max_repeated_time_fraction": limit}


def _describe_model(
    cut: Cut, raced: WindowRace, counts: Sequence[int], notes: Notes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections on the model and its training."""
    window: dict[str, Any] = {"lookback": cut.lookback}
    rows = int((cut.row_splits == TRAIN).sum())
    # A window that is an entity by itself has no neighbours to leave out.
    several = counts[0] > len(np.unique(cut.windows.groups)) and "metadata" not in cut.section
    stride = rows // MOST_TRAINED
    if several and stride > 1:
        window["stride"] = min(stride, cut.lookback)
        notes.add("model.window", f"stride {window['stride']}", LIKELY, f"{rows} rows are many")
    shown = ", ".join(f"{name} {figure:.4g}" for name, figure in raced.figures.items())
    why = f"raced on {raced.windows} training windows of {raced.groups} groups: {shown}"
    auto = counts[1] >= LEAST_JUDGED
    family = "auto" if auto else LINEAR if raced.winner == LINEAR else "mlp"
    if auto:
        why += f"; networks and baselines race on {counts[1]} validation windows"
    notes.add("model.network", family, LIKELY, why)
    train = choose_training(rows // max(1, stride) if several else counts[0], notes)
    if not cut.windows.classes:
        train |= {"loss": {"name": "mae"}, "select_by": "mae"}
    return {"network": {"family": family}, "window": window}, train
