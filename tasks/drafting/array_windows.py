"""Drafts a recipe for windows that numpy saved, (N, L, C), their answers, and whose they are."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.redaction import redact
from storage.forms.columns import SERIES_ID, name_field
from storage.forms.registry import FORMS
from storage.forms.series import SeriesSpec
from storage.pipeline.carving import find_shares, is_grouped
from storage.pipeline.splits import HELD_OUT, find_keys, split_by_hash
from storage.shards.row_ids import CONTENT_HASH, VALID_SUFFIX, Rows, hash_contents
from storage.sources.npy import ArrayFile
from tasks.drafting.array_labels import find_classes
from tasks.drafting.draft import Draft
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import MOST_CLASSES
from tasks.drafting.window_race import Windows
from tasks.drafting.window_tasks import CLASSES, VALUES, Cut, choose_seed, draft_cut, share_groups

GROUPS = re.compile(
    r"subject|person|patient|participant|user|group|speaker|driver|bearing|machine|engine|device|"
    r"unit|session|recording",
    re.I,
)
"""Names of arrays that say whose each row is."""
MOST_VALUES, MOST_LOOKED, MOST_COLUMNS, MOST_STEPS = 30_000_000, 1000, 64, 4096
STEPS = "%s"
"""Format of numbered steps as times."""


def are_windows(values: ArrayFile, kind: str | None) -> bool:
    """Return whether an array holds windows of series, and not pictures or rows.

    Raises:
        DraftError: They are, with columns before steps.
    """
    if kind is not None and not kind.startswith("series-"):
        return False
    shape = values.shape[1:]
    if kind is not None and len(shape) == 1:
        return True
    plain = values.dtype.kind == "f" or values.dtype.itemsize > 1
    if len(shape) != 2 or not (plain or kind):
        return False
    steps, columns = shape
    if columns >= 32 and steps * 2 <= columns and steps <= 16:
        raise DraftError(
            f"array ({redact(values.display)}) must hold windows as (N, steps, columns); got "
            f"{values.shape}, which looks like columns before steps; save np.transpose(x, (0, 2, "
            "1)), or give --kind image-classification"
        )
    return kind is not None or (steps >= 2 * columns and columns <= MOST_COLUMNS)


def find_groups(values: ArrayFile, others: Mapping[str, ArrayFile]) -> str | None:
    """Return the array that says whose each window is; None where there is none."""
    fit = ((values.shape[0],), (values.shape[0], 1))
    named = [name for name, array in others.items() if GROUPS.search(name) and array.shape in fit]
    return named[0] if len(named) == 1 else None


def draft_array_windows(
    source: dict[str, Any],
    pairs: Mapping[str, Sequence[ArrayFile]],
    kind: str | None,
    name: str,
    notes: Notes,
) -> Draft:
    """Draft a recipe for windows.

    Args:
        source: The recipe's source section.
        pairs: Values, answers and, where there are some, groups of each split that the source
            gives.
        kind: Kind that a person named; None to guess it.
        name: Name of the recipe.
        notes: Takes what was guessed.

    Raises:
        DraftError: The answers are no classes and no numbers, or there are too few windows.
    """
    parts = {split: _read_part(arrays) for split, arrays in pairs.items()}
    values, answers, _ = parts["train"]
    steps, columns = values.shape[1:]
    if steps > MOST_STEPS:
        why = f"{steps} steps a window cost much; cut or thin them out if fewer tell enough"
        notes.add("model.window", f"lookback {steps}", UNKNOWN, why)
    else:
        notes.add("model.window", f"lookback {steps}", SURE, "the length of a window")
    chosen = _choose_kind(answers, kind, notes)
    grouped = len(pairs["train"]) > 2
    section = _describe(columns, source, grouped=grouped, notes=notes)
    counts = np.concatenate([part[1] for part in parts.values()])
    section |= _describe_answer(counts, chosen, notes)
    told = {split: _identify(part, section) for split, part in parts.items()}
    section["split"] = _choose_split(parts, told["train"], section, notes)
    spec = SeriesSpec.model_validate(section)
    splits = np.concatenate([_split(rows, split, parts, spec) for split, rows in told.items()])
    whole = [np.concatenate(found) for found in zip(*parts.values(), strict=True)]
    windows = Windows(
        whole[0].astype(np.float64),
        _number_answers(whole[1], chosen),
        whole[2] if grouped else np.arange(len(whole[0])),
        len(spec.labels),
    )
    known = np.flatnonzero(np.isfinite(windows.answers))
    looked = _look_at_some(whole, spec, name)
    asked, sides = windows.take(known), splits[known]
    cut = Cut(source, section, spec, looked, np.repeat(splits, steps), asked, sides, steps)
    return draft_cut(cut, name, chosen, notes)


Part = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]
"""Windows (N, L, C), their answers, and whose they are."""


def _read_part(arrays: Sequence[ArrayFile]) -> Part:
    """Read as many windows as are looked at."""
    size = int(np.prod(arrays[0].shape[1:]))
    count = min(arrays[0].shape[0], max(1, MOST_VALUES // max(1, size)))
    found = [
        np.frombuffer(array.read_rows(count), array.dtype).reshape(count, *array.shape[1:])
        for array in arrays
    ]
    values = found[0] if found[0].ndim == 3 else found[0][..., None]
    groups = found[2].reshape(count) if len(found) > 2 else np.zeros(count)
    whose = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return values, found[1].reshape(count), whose


def _look_at_some(whole: Sequence[NDArray[Any]], spec: SeriesSpec, name: str) -> Rows:
    """Return the rows of a few windows, evenly drawn, as a run reads them."""
    values, answers, groups = whole
    some = np.unique(np.linspace(0, len(values) - 1, MOST_LOOKED).astype(np.int64))
    rows, _ = FORMS.find("series").read_arrays(values[some], answers[some], spec, name)
    rows |= _name_groups(
        np.repeat(groups[some], values.shape[1]), {"metadata": list(spec.metadata)}
    )
    return {CONTENT_HASH: hash_contents(rows), **rows}


def _choose_kind(answers: NDArray[Any], kind: str | None, notes: Notes) -> str:
    texts = answers.dtype.kind == "U"
    if kind is not None:
        if texts and kind != CLASSES:
            raise DraftError(
                "array (answers) must hold numbers to be predicted; got texts; give --kind "
                f"{CLASSES} if they are classes"
            )
        return kind
    distinct = len(np.unique(answers))
    few = distinct <= min(MOST_CLASSES, len(answers) // 5)
    chosen = CLASSES if texts or (few and np.all(answers == np.round(answers))) else VALUES
    notes.add("kind", chosen, LIKELY, f"{distinct} different answers to windows of steps")
    return chosen


def _describe(
    columns: int, source: Mapping[str, Any], *, grouped: bool, notes: Notes
) -> dict[str, Any]:
    names = [f"column_{number}" for number in range(1, columns + 1)] if columns > 1 else ["value"]
    shown = names if columns == 1 else f"{names[0]} to {names[-1]}"
    notes.add("data.numbers", shown, UNSURE, "columns of an array have no names: give them yours")
    section: dict[str, Any] = {"kind": "series", "entity": "window", "time": "step"}
    section |= {"time_format": STEPS, "numbers": names}
    if grouped:
        section["metadata"] = [_name_column(source)]
        notes.add("data.metadata", section["metadata"], LIKELY, "says whose each window is")
    return section


def _name_column(source: Mapping[str, Any]) -> str:
    """Return the name of the column of groups, without the split in it."""
    plain = re.sub(r"(?i)[_-]?(train|training)[_-]?", "", str(source["train"][2]))
    return plain or "group"


def _describe_answer(answers: NDArray[Any], kind: str, notes: Notes) -> dict[str, Any]:
    if kind != CLASSES:
        return {"target": "answer"}
    names, places = find_classes(answers, "answers")
    counts = np.bincount(places).tolist()
    shown = [f"{name} ({count} windows)" for name, count in zip(names, counts, strict=True)]
    told = answers.dtype.kind == "U"
    why = "its texts" if told else "its numbers, whose names are not known"
    notes.add("data.labels", shown[:20], SURE if told else UNSURE, why)
    return {"label": "answer", "labels": names}


def _number_answers(answers: NDArray[Any], kind: str) -> NDArray[Any]:
    return find_classes(answers, "answers")[1] if kind == CLASSES else answers.astype(np.float64)


def _choose_split(
    parts: Mapping[str, Part], rows: Rows, section: Mapping[str, Any], notes: Notes
) -> dict[str, Any]:
    """Return the split: groups whole where there are some, each class in each split if it can."""
    _, answers, groups = parts["train"]
    shares = share_groups(len(np.unique(groups)) if "metadata" in section else len(answers))
    split: dict[str, Any] = {"by": "entity", "held_out": shares[0], "validation": shares[1]}
    why = "a window is an entity: they seem to be independent of each other; overlapping ones, or "
    why += "several of one machine or person, need a third array that says whose each is"
    if "metadata" in section:
        split |= {"by": "group", "field": section["metadata"][0]}
        why = f"windows of one {split['field']} resemble each other and must stay together"
    if "held_out" in parts:
        split = {key: value for key, value in split.items() if key in ("validation", "field")}
        split["by"] = "source"
        why = "the source's arrays say which are held out"
    notes.add("data.split", f"by {split['by']}", LIKELY, why)

    def draw(chosen: Mapping[str, Any]) -> NDArray[np.int8]:
        spec = SeriesSpec.model_validate({**section, "split": chosen})
        return _split(rows, "train", parts, spec)

    labels = find_classes(answers, "answers")[1] if "label" in section else None
    return choose_seed(split, draw, labels)


def _identify(part: Part, section: Mapping[str, Any]) -> Rows:
    """Return what says in which split each window is: its own series, its group, its hash."""
    values, _, groups = part
    series = hash_contents({"window": values})[:, 0] >> np.uint64(1)
    rows: Rows = {SERIES_ID: series.astype(np.int64), **_name_groups(groups, section)}
    return {**rows, CONTENT_HASH: hash_contents(rows)}


def _split(rows: Rows, side: str, parts: Mapping[str, Part], spec: SeriesSpec) -> NDArray[np.int8]:
    """Return the split of each window, as preparing will choose it."""
    if side == "held_out":
        return np.full(len(rows[SERIES_ID]), HELD_OUT, np.int8)
    keys, _ = find_keys(rows, spec, {})
    shares = find_shares([(keys, None)], spec.split) if is_grouped(spec) else None
    given = "validation" in parts
    source = side if spec.split.by == "source" else ""
    return split_by_hash(keys, source, spec.split, validation_given=given, shares=shares)


def _name_groups(groups: NDArray[np.int64], section: Mapping[str, Any]) -> Rows:
    """Return the column of groups as texts; nothing where there is none."""
    names = section.get("metadata") or ()
    texts = np.array([str(group) for group in groups.tolist()], np.dtypes.StringDType())
    fields = [name_field(name, names) for name in names]
    masks = {field + VALID_SUFFIX: np.ones(len(texts), np.bool_) for field in fields}
    return dict.fromkeys(fields, texts) | masks
