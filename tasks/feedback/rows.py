"""Makes rows of answers: what was asked, who answered what, and what was true as far as is known.

A row's id is that of its answer, and its content hash is over what was asked alone. So both, and
with them the side of a hash split that the row is on, are fixed before anybody knows the truth.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from deployments.targets.trust.uplink import UplinkBatch, UplinkRecord
from lightning_modules.specs.objectives import LABEL, OBJECTIVES, TARGET
from storage.base.errors import InvalidInput
from storage.forms.base import RowsSpec
from storage.forms.columns import TIME
from storage.shards.row_ids import (
    CONTENT_HASH,
    ROW_ID,
    VALID_SUFFIX,
    Rows,
    hash_contents,
    hash_member_ids,
)
from tasks.feedback.ledger import Truth, make_utc
from tasks.feedback.models import KnownModel
from tasks.forms.registry import find_task_form
from tasks.forms.table.inputs import LATEST_S

PREFIX = "feedback."
"""Stands before the names of fields that tell of answers, and that nothing is learned from."""
ANSWER_ID, AT = f"{PREFIX}answer_id", f"{PREFIX}at"
ANSWER, MODEL_ID = f"{PREFIX}answer", f"{PREFIX}model_id"
PROBABILITY = f"{PREFIX}probability"
NO_CLASS = -1

Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class TruthField:
    """Where the truth of an answer stands in its row.

    Attributes:
        name: The field; None where later rows tell the truth, or nobody does.
        labels: Names of the classes, where it is one.
    """

    name: str | None
    labels: tuple[str, ...] = ()

    def read(self, truth: JsonValue) -> int | float:
        """Return a truth as the field holds it.

        Raises:
            InvalidInput: It is no class of the recipe, or no number.
        """
        text = truth if isinstance(truth, str) else json.dumps(truth)
        if self.name == LABEL:
            if text in self.labels:
                return self.labels.index(text)
            raise InvalidInput(
                f"truth ({text[:40]}) must be one of {', '.join(self.labels[:20])}; got another; "
                "correct it"
            )
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if self.name is None or not np.isfinite(value):
            raise InvalidInput(f"truth ({text[:40]}) must be a finite number; got another")
        return value


def find_truth_field(objective: str, data: RowsSpec) -> TruthField:
    """Return where the truth stands, by what is asked of the rows."""
    asks = OBJECTIVES.find(objective).asks
    if asks == TARGET:
        return TruthField(TARGET)
    return (
        TruthField(LABEL, data.labels)
        if asks in (LABEL, None) and data.labels
        else TruthField(None)
    )


def list_answers(batch: UplinkBatch) -> list[UplinkRecord]:
    """List the records of answers, in the order of their inputs."""
    return [record for record in batch.records if record.kind == "answer"]


def make_rows(batch: UplinkBatch, model: KnownModel, data: RowsSpec) -> tuple[Rows, Columns]:
    """Make rows of a batch's answers, as yet without a truth.

    Args:
        batch: A batch that was verified.
        model: Whose answers they are.
        data: What the recipe says of its rows now.

    Returns:
        The rows, and the names of the columns of two-dimensional fields.

    Raises:
        InvalidInput: What was asked is not what the data section declares.
    """
    answers = list_answers(batch)
    features, columns = find_task_form(data).read_inputs(batch.inputs, model.input, data)
    at = count_times([record.at for record in answers])
    features = {**features}
    if data.time is not None and TIME not in features:
        # The model was not told the time; the row is of when it answered.
        features |= {TIME: at, TIME + VALID_SUFFIX: np.ones(len(at), np.bool_)}
    rows: Rows = {
        ROW_ID: hash_member_ids(record.answer_id for record in answers),
        CONTENT_HASH: hash_contents(features),
        **features,
        **make_truths(len(answers), data),
        ANSWER_ID: _list_texts([record.answer_id for record in answers]),
        AT: at,
        MODEL_ID: _list_texts([record.model_id or "" for record in answers]),
        PROBABILITY: np.array([record.probability for record in answers], np.float64),
        ANSWER: _list_texts([json.dumps(record.answer, sort_keys=True) for record in answers]),
    }
    return rows, columns


def make_truths(count: int, data: RowsSpec) -> Rows:
    """Return the fields of label and target as far as they are declared, all of them missing."""
    absent = np.zeros(count, np.bool_)
    rows: Rows = {}
    if data.labels:
        rows |= {LABEL: np.full(count, NO_CLASS, np.int64), LABEL + VALID_SUFFIX: absent}
    if data.target is not None:
        rows |= {TARGET: np.full(count, np.nan), TARGET + VALID_SUFFIX: absent.copy()}
    return rows


def place_truths(
    rows: Rows, told: Mapping[str, Truth], where: TruthField
) -> tuple[Rows, list[str]]:
    """Return rows with the truths that count, and a sentence on each truth that cannot be one.

    Args:
        rows: Rows of answers.
        told: The truth of each answer that has one.
        where: The field that they stand in.
    """
    if where.name is None:
        return rows, []
    count, wrong = len(rows[ANSWER_ID]), []
    empty = NO_CLASS if where.name == LABEL else np.nan
    values = np.full(count, empty, rows[where.name].dtype)
    valid = np.zeros(count, np.bool_)
    for place, answer_id in enumerate(rows[ANSWER_ID].tolist()):
        if (truth := told.get(answer_id)) is None:
            continue
        try:
            values[place] = where.read(truth.truth)
            valid[place] = True
        except InvalidInput as error:
            wrong.append(f"{answer_id}: {error}")
    return {**rows, where.name: values, where.name + VALID_SUFFIX: valid}, wrong


def count_times(moments: Sequence[datetime]) -> NDArray[np.int64]:
    """Return moments in nanoseconds since 1970, (N,), UTC unless they say otherwise.

    A clock that is off by centuries counts as the last moment that 64 bits reach, or the first.
    """
    reach = round(LATEST_S) * 10**9
    found = [round(make_utc(moment).timestamp() * 1e6) * 1000 for moment in moments]
    return np.array([min(max(each, -reach), reach) for each in found], np.int64)


def _list_texts(texts: Sequence[str]) -> NDArray[Any]:
    return np.array(texts, dtype=np.dtypes.StringDType())
