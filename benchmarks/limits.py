"""How many honest models would the model gate's limits stop? `python -m benchmarks.limits` tells.

A model and its champion are fitted alike, each on its own resample of the same training rows, so
that neither is better: whatever stops or warns then is a false alarm. Of forecasts the baseline
is the same linear map, fitted on half of the windows: a little worse in truth.
"""

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.fault_feeds import load_ai4i, load_ett
from benchmarks.results import describe_machine, make_table, write_section
from gates.engine.report import GateReport
from gates.model.blocks import cut_time
from gates.model.classes import judge_classes
from gates.model.facts import ModelFacts
from gates.model.values import judge_values
from gates.specs.model import ClassesGate, ValuesGate
from lightning_modules.networks.fitted import solve_ridge
from lightning_modules.specs.samples import NumberColumn, RowSample
from tasks.objectives.registry import find_objective

Array = np.ndarray[Any, Any]
SEEDS = 5
LOOKBACK, HORIZON = 96, 24
SETS = ("iris", "wine", "breast_cancer", "digits", "AI4I")


def load_rows(name: str) -> tuple[Array, Array]:
    """Features and classes of a data set."""
    from sklearn import datasets

    if name == "AI4I":
        feed = load_ai4i()
        numbers = [feed.floats(column) for column in getattr(feed.data, "numbers", ())]
        return np.stack(numbers, axis=1), feed.columns["Machine_failure"].astype(int)
    found = getattr(datasets, f"load_{name}")()
    return found.data, found.target


def make_models(seed: int, rows: int) -> dict[str, Any]:
    """Honest classifiers of so many rows: none is fitted until it knows them by heart."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    epochs = int(np.clip(60_000 // rows, 20, 400))
    return {
        "logistic": LogisticRegression(C=0.3, max_iter=100),
        "forest": RandomForestClassifier(50, min_samples_leaf=3, random_state=seed),
        "network": MLPClassifier((32,), alpha=0.1, max_iter=epochs, random_state=seed),
    }


def judge_rows(name: str) -> Iterator[tuple[str, int, GateReport]]:
    """Judges every model of a data set over several splits, beside its like as the champion."""
    features, classes = load_rows(name)
    for seed in range(SEEDS):
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(classes))
        held, train = np.split(order, [len(order) * 3 // 10])
        scale = features[train].mean(0), features[train].std(0) + 1e-9
        asked, known = ((features[rows] - scale[0]) / scale[1] for rows in (held, train))
        answers: dict[str, list[Array]] = {}
        for turn in range(2):
            chosen = draw.choice(len(train), len(train))
            for kind, model in make_models(2 * seed + turn, len(train)).items():
                model.fit(known[chosen], classes[train][chosen])
                answers.setdefault(kind, []).append(model.predict_proba(asked))
        for kind, (own, champion) in answers.items():
            yield kind, len(held), judge_pair(own, champion, classes[held])


def judge_pair(own: Array, champion: Array, truth: Array) -> GateReport:
    """Judges classes by default limits, accuracy and skill left to the data."""
    count = own.shape[1]
    sample = RowSample(objective="classes", numbers=(NumberColumn(name="a"),), classes=count)
    objective = find_objective(sample)
    shares = np.bincount(truth, minlength=count) / len(truth)
    facts = ModelFacts(
        row_id=np.arange(len(truth), dtype=np.uint64),
        truth=truth,
        answers=own,
        rows_held_out=len(truth),
        figures=objective.measure(own, truth, sample, split="held_out", standard=False),
        measures=objective.list_measures(sample),
        baselines={"majority": np.repeat(shares[None], len(truth), axis=0)},
        champion=champion,
        labels=tuple(str(label) for label in range(count)),
    )
    return judge_classes(ClassesGate(min_accuracy=0, min_skill=-1e9), facts)


def judge_forecasts() -> Iterator[tuple[str, int, GateReport]]:
    """Judges linear forecasts of the loads, beside those fitted on half of the training windows."""
    feed = load_ett()
    columns = np.stack([feed.floats(name) for name in ("HUFL", "MUFL", "LUFL", "OT")], axis=1)
    for seed in range(SEEDS):
        start = seed * 1000
        values = columns[start : start + 9000]
        values = (values - values[:6000].mean(0)) / values[:6000].std(0)
        places = np.arange(0, len(values) - LOOKBACK - HORIZON, 3)
        windows = np.stack([values[place : place + LOOKBACK + HORIZON] for place in places])
        past, future = windows[:, :LOOKBACK], windows[:, LOOKBACK:]
        early = places + LOOKBACK + HORIZON < 6000
        late = places >= 6000
        fits = [fit_linear(past[early][::every], future[early][::every]) for every in (1, 2)]
        answers = [ask_linear(weights, past[late]) for weights in fits]
        blocks = cut_time(places[late].astype(float), 3.0, (LOOKBACK + HORIZON) // 3)
        yield "linear forecast", int(late.sum()), judge_steps(*answers, future[late], blocks)


def fit_linear(past: Array, future: Array) -> Array:
    """Least squares of what lies behind the last value, all columns alike."""
    rows = np.swapaxes(past - past[:, -1:], 1, 2).reshape(-1, LOOKBACK)
    aim = np.swapaxes(future - past[:, -1:], 1, 2).reshape(-1, HORIZON)
    return solve_ridge(rows.T @ rows, rows.T @ aim)


def ask_linear(weights: Array, past: Array) -> Array:
    """The forecast of windows."""
    changes = np.swapaxes(past - past[:, -1:], 1, 2) @ weights
    return np.asarray(np.swapaxes(changes, 1, 2) + past[:, -1:])


def judge_steps(own: Array, other: Array, truth: Array, blocks: Array) -> GateReport:
    """Judges forecasts by default limits; the other is baseline and champion at once."""
    numbers = tuple(NumberColumn(name=name) for name in ("HUFL", "MUFL", "LUFL", "OT"))
    sample = RowSample(objective="values", numbers=numbers)
    objective = find_objective(sample)
    facts = ModelFacts(
        row_id=np.arange(len(truth), dtype=np.uint64),
        truth=truth,
        answers=own,
        rows_held_out=len(truth),
        figures=objective.measure(own, truth, sample, split="held_out", standard=False),
        measures=objective.list_measures(sample),
        baselines={"its like": other},
        champion=other,
        columns=tuple(column.name for column in numbers),
        blocks=blocks,
    )
    return judge_values(ValuesGate(min_skill=-1e9), facts)


def main() -> None:
    warnings.simplefilter("ignore")
    rows = []
    for name in sys.argv[1:] or (*SETS, "ETTh1"):
        found = judge_forecasts() if name == "ETTh1" else judge_rows(name)
        stopped: dict[str, Counter[str]] = {}
        runs: Counter[str] = Counter()
        held = {}
        for kind, count, report in found:
            runs[kind] += 1
            held[kind] = count
            tally = stopped.setdefault(kind, Counter())
            for check in report.checks:
                key = re.search(r"limited by gates\.model\.(\w+)", check.message)
                if key and not check.passed:
                    tally[f"{key[1]} {check.severity}"] += 1
        for kind, tally in stopped.items():
            told = [f"{key} {count}" for key, count in sorted(tally.items())]
            rows.append([name, kind, str(held[kind]), str(runs[kind]), ", ".join(told) or "none"])
            sys.stderr.write(f"{rows[-1]}\n")
    if sys.argv[1:]:
        return
    body = (
        "`python -m benchmarks.limits`. A model and its champion, fitted alike on resamples of the "
        "same training rows; default limits of what a model that is as good must not be stopped by."
    )
    head = ["data", "model", "held-out rows", "models", "checks that fail"]
    parts = ["## Limits", body, describe_machine(["scikit-learn", "numpy"]), make_table(head, rows)]
    write_section("limits", "\n\n".join(parts))


if __name__ == "__main__":
    main()
