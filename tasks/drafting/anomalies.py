"""Drafts a recipe that finds rows unlike the others; some are known to be so, to judge by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.columns import NUMBERS
from storage.pipeline.splits import HELD_OUT, TRAIN, VALIDATION
from storage.shards.row_ids import LABEL
from tasks.drafting.columns import Column
from tasks.drafting.draft import Draft, Sections, assemble, leave_to_race
from tasks.drafting.guesses import LIKELY, SURE, UNKNOWN, UNSURE, DraftError, Notes
from tasks.drafting.inputs import Roles
from tasks.drafting.limits import count_splits, limit_small_splits, round_down, round_up
from tasks.drafting.race import scale_features
from tasks.drafting.raw_limits import limit_raw
from tasks.drafting.rows import choose_split, describe_columns, read_rows
from tasks.drafting.tables import Looked

DISTANCE = "distance"
LEAST_ANOMALIES = 5


def draft_anomalies(
    looked: Looked, roles: Roles, missing: Sequence[str], name: str, notes: Notes
) -> Draft:
    """Draft a recipe that learns what is normal, judged by rows that are known not to be.

    Raises:
        DraftError: No column tells normal rows from anomalous ones.
    """
    answer = roles.answer
    if answer is None or answer.distinct != 2:
        raise DraftError(
            "--target must name a column of two values, that tell normal rows from anomalous ones "
            f"to judge by; got {answer.distinct if answer else 'none'}; give one"
        )
    labels = _order_labels(answer, notes)
    section = describe_columns(roles, missing) | {"label": answer.name, "labels": labels}
    section.pop("texts", None)
    spec, rows = read_rows(looked.table, section)
    splits, section["split"] = choose_split(looked, roles, spec, rows, notes)
    reached = measure_distance(rows[NUMBERS], rows[LABEL], splits == TRAIN)
    anomalies = int(((splits == HELD_OUT) & (rows[LABEL] == 1)).sum())
    gate = _limit(reached, anomalies, notes)
    judged = rows[LABEL][splits == VALIDATION]
    rarest = int(np.bincount(judged[judged >= 0], minlength=2).min())
    network = leave_to_race(len(judged), rarest, DISTANCE, notes)
    sections = Sections(
        f"Rows of {looked.table.num_rows} that are unlike the others, judged by {answer.name}.",
        looked.source,
        section,
        {
            "raw": limit_raw(rows, spec, notes),
            "prepared": limit_small_splits(count_splits(splits)),
            "model": gate,
        },
        {"network": network or {"family": DISTANCE}},
        {},
    )
    return assemble(name, roles.kind, sections, notes)


def _order_labels(answer: Column, notes: Notes) -> list[str]:
    """Return the two labels, the commoner one first: it is what is normal."""
    order = np.argsort(-answer.counts, kind="stable")
    labels = [answer.texts[int(place)] for place in order]
    share = answer.counts.max() / answer.rows
    why = f"{labels[0]} is taken for normal: it is {share:.0%} of the rows"
    notes.add(
        "data.labels", labels, LIKELY if answer.counts.min() < answer.rows / 4 else UNSURE, why
    )
    return labels


def measure_distance(
    numbers: NDArray[np.float64], labels: NDArray[np.int64], train: NDArray[np.bool_]
) -> float:
    """Return the average precision of the distance from the mean of normal training rows."""
    from sklearn.metrics import average_precision_score

    normal = train & (labels == 0)
    scaled = scale_features(numbers, normal)[train]
    scores = np.square(scaled).mean(axis=1)
    wanted = labels[train] == 1
    return float(average_precision_score(wanted, scores)) if wanted.any() else 0.0


def _limit(reached: float, anomalies: int, notes: Notes) -> dict[str, Any]:
    if anomalies < LEAST_ANOMALIES:
        remedy = f"fetch more, or lower gates.model.min_anomalies: {anomalies} prove little"
        notes.add("gates.model", f"{anomalies} held-out anomalies", UNKNOWN, remedy)
    why = "how far a row is from the mean; write autoencoder if the gate names a better baseline"
    notes.add("model.network", DISTANCE, LIKELY, why)
    gate: dict[str, Any] = {"min_average_precision": max(0.01, round_down(reached * 0.6))}
    why = f"the distance from the mean reaches {reached:.2f} on training rows"
    shown = f"min_average_precision {gate['min_average_precision']}"
    notes.add("gates.model", shown, LIKELY, why)
    gate["min_skill"] = -0.1
    gate["min_skill_lower_bound"] = -round_up(0.1 + 1 / max(1, anomalies) ** 0.5, 1)
    why = "the network is one of the baselines, and the others may be a little better"
    notes.add("gates.model", f"min_skill {gate['min_skill']}", SURE, why)
    return gate
