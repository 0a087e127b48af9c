"""Drafts a recipe that forecasts series: step, season, windows, and what is worth its time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.columns import NUMBERS, SERIES_ID, TIME
from storage.forms.rules import SplitSpec
from storage.pipeline.splits import HELD_OUT, TRAIN, VALIDATION, find_cutoffs, split_by_time
from storage.shards.row_ids import Rows
from tasks.drafting.columns import Column
from tasks.drafting.draft import Draft, Sections, assemble, leave_to_race
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import Roles
from tasks.drafting.limits import allow_baseline, count_splits, limit_small_splits, round_up
from tasks.drafting.raw_limits import limit_raw
from tasks.drafting.roles import FEW_VALUES
from tasks.drafting.rows import describe_time, read_rows
from tasks.drafting.series_race import BASELINES, LEARNED, NAIVE, Forecast, Frame, race_forecasts
from tasks.drafting.series_told import Told, tell_forecast
from tasks.drafting.tables import Looked
from tasks.drafting.windows import Run, cut_runs, find_season

LONG_SEASON = 48
SPARE = 8
"""Steps that are left over where windows are as long as they can be: so many windows judge."""
_MOSTLY_ONE = 0.98


def draft_series(
    looked: Looked, roles: Roles, missing: Sequence[str], name: str, notes: Notes
) -> Draft:
    """Draft a recipe that forecasts columns of numbers.

    Raises:
        DraftError: There is no time, no even step, or too few rows for any window.
    """
    if roles.time is None or not roles.step_ns:
        raise DraftError(
            "kind (forecasting) must have a column of the time, with rows at even steps; got none; "
            "write the time as 2024-05-01 13:00 into one column, or choose another --kind"
        )
    targets, others = _choose_columns(roles, notes)
    section = _describe(roles, [*targets, *others], missing)
    texts = [column.name for column in roles.texts]
    spec, rows = read_rows(looked.table, section | ({"texts": texts} if texts else {}))
    section["split"], splits = _choose_split(looked, rows, notes)
    cutoffs = _list_cutoffs(rows[TIME], splits)
    scaled = _standardise(rows[NUMBERS], splits == TRAIN)
    runs = cut_runs(scaled, rows[SERIES_ID], rows[TIME], roles.step_ns)
    notes.add("model.window", f"a step of {_tell_time(roles.step_ns)}", SURE, "the usual one")
    dated = roles.time.count is None
    won = _race(runs, len(targets), roles.step_ns, cutoffs, dated=dated, notes=notes)
    told = tell_forecast(rows, spec, scaled, len(targets), won, cutoffs, roles.step_ns, notes)
    won = told.won
    section |= _choose_told(told, targets, others, notes)
    model, train = _describe_model(told, targets, len(section["numbers"]), notes)
    gates: dict[str, Any] = {
        "model": _limit_model(won, _count_blocks(runs, won, cutoffs[1]), notes)
    }
    kept = [name for name in spec.texts if name in told.texts]
    spec = spec.model_copy(update={"texts": tuple(kept)})
    gates["raw"] = limit_raw(rows, spec, notes) | _limit_order(rows, notes)
    gates["prepared"] = limit_small_splits(count_splits(splits))
    shown = ", ".join(column.name for column in targets[:4])
    sections = Sections(
        f"{shown} {won.frame.horizon} steps ahead, drafted from {looked.table.num_rows} rows.",
        looked.source,
        section,
        gates,
        model,
        train,
    )
    return assemble(name, roles.kind, sections, notes)


def _choose_told(
    told: Told, targets: Sequence[Column], others: Sequence[Column], notes: Notes
) -> dict[str, Any]:
    """Return what the data section says of texts, and of numbers where they are fewer."""
    section: dict[str, Any] = {"texts": list(told.texts)} if told.texts else {}
    if told.won.family in BASELINES and others:
        section["numbers"] = [column.name for column in targets]
        why = "a quick network that saw the other columns forecast no better: they are left out"
        notes.add("data.numbers", section["numbers"], LIKELY, why)
    return section


def _choose_columns(roles: Roles, notes: Notes) -> tuple[list[Column], list[Column]]:
    """Return the columns that are forecast, and those that may help."""
    usable = []
    for column in roles.numbers:
        share = float(column.counts.max()) / max(1, int(column.counts.sum()))
        if share < _MOSTLY_ONE or column is roles.answer:
            usable.append(column)
        else:
            why = f"it is {column.texts[int(column.counts.argmax())]} in {share:.1%} of the rows"
            notes.add("data.numbers", f"without {column.name}", LIKELY, why)
    if roles.answer is not None:
        if roles.answer.numbers is None:
            raise DraftError(f"--target ({roles.answer.name}) must hold numbers to be forecast")
        return [roles.answer], [column for column in usable if column is not roles.answer]
    if not usable:
        raise DraftError("source must hold a column of numbers that change, to be forecast")
    changing = [column for column in usable if column.distinct > FEW_VALUES] or usable
    why = "which columns are asked for nobody said: all that are quantities; else give --target"
    notes.add("model.window", [column.name for column in changing], UNKNOWN, why)
    return changing, [column for column in usable if column not in changing]


def _describe(roles: Roles, numbers: Sequence[Column], missing: Sequence[str]) -> dict[str, Any]:
    section: dict[str, Any] = {"kind": "series", **describe_time(roles)}
    if roles.entity is not None:
        section["entity"] = roles.entity.name
    section["numbers"] = [column.name for column in numbers]
    return section | ({"missing": list(missing)} if missing else {})


def _choose_split(
    looked: Looked, rows: Rows, notes: Notes
) -> tuple[dict[str, Any], NDArray[np.int8]]:
    """Return the split by time, at the files' own border where they say one."""
    times = rows[TIME]
    few = len(np.unique(times)) < 600
    split: dict[str, Any] = {"by": "time", "held_out": 0.25 if few else 0.2}
    split["validation"] = 0.2 if few else 0.15
    why = "the last times are held out, those before them validate"
    counts = list(looked.rows_by_file.items())
    if {"train", "held_out"} <= looked.splits.keys() and looked.complete:
        names = {name: split for split, name in looked.splits.items()}
        of_file = np.repeat(
            [names[name] == "held_out" for name, _ in counts], [n for _, n in counts]
        )
        first = int(times[of_file].min())
        if first > int(times[~of_file].max()):
            split = {"by": "time", "held_out_from": _write_time(first), "validation": 0.15}
            why = "the file that is held out begins then"
    splits = split_by_time(times, find_cutoffs(times, SplitSpec.model_validate(split)))
    notes.add("data.split", "by time", SURE, why)
    return split, splits


def _list_cutoffs(times: NDArray[np.int64], splits: NDArray[np.int8]) -> tuple[int, int]:
    """Return the first time that validates, and the first that is held out."""
    if not (splits == VALIDATION).any() or not (splits == HELD_OUT).any():
        raise DraftError(
            f"source must hold times enough to learn from, to choose by and to be judged on; got "
            f"{len(np.unique(times))} different times; fetch more rows"
        )
    return int(times[splits == VALIDATION].min()), int(times[splits == HELD_OUT].min())


def _standardise(values: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    mean, std = np.nanmean(values[train], axis=0), np.nanstd(values[train], axis=0)
    return np.asarray((values - mean) / np.where(std > 0, std, 1.0))


def _race(
    runs: Sequence[Run],
    targets: int,
    step_ns: int,
    cutoffs: tuple[int, int],
    *,
    dated: bool,
    notes: Notes,
) -> Forecast:
    """Return the family and the window that did best on validation rows."""
    before = [
        Run(run.values[run.times < cutoffs[0]], run.times[run.times < cutoffs[0]]) for run in runs
    ]
    season, strength = find_season([run for run in before if len(run.times)], step_ns)
    if season is not None:
        why = f"changes go with those {season} steps before at a correlation of {strength:.2f}"
        notes.add("model.window", f"a season of {season} steps", LIKELY, why)
    room = max(int(((run.times >= cutoffs[0]) & (run.times < cutoffs[1])).sum()) for run in runs)
    frames = _list_frames(season, step_ns, room)
    if not dated:
        # Of rows that are counted nobody knows the hour.
        frames = [replace(frame, calendar=()) for frame in frames]
    won = race_forecasts(runs, targets, frames, cutoffs)
    if won is None:
        raise DraftError(
            f"source must hold rows enough for windows before and behind a time; got at most "
            f"{room} rows in a row to validate on; fetch more rows, or rows without gaps"
        )
    shown = ", ".join(f"{name} {error:.3f}" for name, error in won.others.items())
    why = f"error over {won.windows} validation windows, in standard deviations: {shown}"
    notes.add("model.network", won.family, LIKELY, why)
    ahead = won.frame.horizon
    why = f"{_tell_time(ahead * step_ns)}; how far ahead nobody said: set horizon to what is needed"
    notes.add("model.window", f"horizon {ahead}", UNKNOWN, why)
    return won


def _list_frames(season: int | None, step_ns: int, room: int) -> list[Frame]:
    """List windows of which some fit into the rows that validate."""
    calendar = tuple(name for name, most in (("day", 12), ("week", 48)) if step_ns <= most * 3600e9)
    horizon = season if season is not None and season <= LONG_SEASON else 12
    looks = [4 * season] if season is not None and season <= LONG_SEASON else [24, 96]
    if season is not None:
        looks.append(season)
    frames = []
    for lookback in looks:
        ahead = max(1, min(horizon, room // 4))
        if season is not None and season + SPARE <= room:
            # A season within the lookback is worth more than a far horizon.
            ahead = max(1, min(ahead, room - SPARE - season))
        back = max(1, min(lookback, room - SPARE - ahead))
        fits = season if season is not None and season <= back else None
        frames.append(Frame(back, ahead, fits, calendar))
    return list(dict.fromkeys(frames))


def _describe_model(
    told: Told, targets: Sequence[Column], columns: int, notes: Notes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections on the model and its training."""
    won, head = told.won, dict(told.head)
    frame = won.frame
    window: dict[str, Any] = {"lookback": frame.lookback, "horizon": frame.horizon}
    if frame.season is not None:
        window["season"] = frame.season
    if columns > len(targets):
        window["targets"] = [column.name for column in targets]
    network: dict[str, Any] = {"family": won.family}
    train: dict[str, Any] = {}
    race = leave_to_race(won.windows, won.windows, won.family, notes)
    if race is not None or won.family not in BASELINES:
        if frame.calendar:
            head["calendar"] = list(frame.calendar)
        if won.family == LEARNED:
            network["params"] = {"widths": [128, 128], "mix": True}
        network = race or network
        train = {"max_epochs": 20, "loss": {"name": "mae"}, "select_by": "mae"}
        train["early_stopping"] = {"patience_epochs": 6}
    elif won.family == NAIVE:
        network["params"] = {"season": frame.season}
    model = {"head": head} if head else {}
    return model | {"network": network, "window": window, "figures_in": "standard"}, train


def _count_blocks(runs: Sequence[Run], won: Forecast, first_ns: int) -> int:
    """Return how many windows that share no row the held-out rows have room for."""
    span = won.frame.lookback + won.frame.horizon
    return sum(int((run.times >= first_ns).sum()) // span for run in runs)


def _limit_model(won: Forecast, blocks: int, notes: Notes) -> dict[str, Any]:
    gate: dict[str, Any] = {"max_mae": round_up(won.mae * 1.5)}
    why = f"{won.mae:.3f} on validation windows, in standard deviations; later rows may be harder"
    notes.add("gates.model", f"max_mae {gate['max_mae']}", UNSURE, why)
    if won.family in BASELINES:
        gate |= allow_baseline(blocks)
        why = f"the network is one of the baselines; {blocks} blocks of held-out rows judge, of "
        why += "which a difference that is chance is the greater the fewer they are"
        shown = [f"{limit} {gate[limit]}" for limit in ("min_skill", "min_skill_lower_bound")]
        notes.add("gates.model", shown, UNSURE, why)
    return gate


def _limit_order(rows: Rows, notes: Notes) -> dict[str, Any]:
    """Return the limits for rows that repeat a time, or lie before their predecessor."""
    entities, times = rows[SERIES_ID], rows[TIME]
    limits: dict[str, Any] = {}
    pairs = np.stack([entities, times], axis=1)
    repeated = 1 - len(np.unique(pairs, axis=0)) / len(pairs)
    order = np.argsort(entities, kind="stable")
    same = entities[order][1:] == entities[order][:-1]
    back = float(((np.diff(times[order]) < 0) & same).mean()) if len(times) > 1 else 0.0
    shares: Mapping[str, float] = {
        "max_repeated_time_fraction": repeated,
        "max_unsorted_fraction": back,
    }
    for limit, share in shares.items():
        if share > 0.0008:
            limits[limit] = min(1.0, round_up(share * 1.5, 1))
            notes.add("gates.raw", f"{limit} {limits[limit]}", UNSURE, f"{share:.2%} of the rows")
    return limits


def _write_time(nanoseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _tell_time(nanoseconds: int) -> str:
    """Return a length of time as people write it."""
    seconds = nanoseconds / 1e9
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds / length
            return f"{count:.3g} {unit}{'s' * (count != 1)}"
    return f"{seconds:.3g} seconds"
