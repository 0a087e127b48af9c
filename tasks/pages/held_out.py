"""The held-out answers that the run's page shows: what they are is the objective's to choose."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.row_ids import ROW_ID, Rows
from tasks.data.open_versions import iter_rows, open_version
from tasks.forms.profile import counts_steps
from tasks.forms.registry import find_task_form
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.gates.accepted import parse_data
from tasks.gates.drift_columns import find_usual_step
from tasks.gates.held_out_rows import list_slices, read_known
from tasks.objectives.base import AnswerParts, HeldOut
from tasks.objectives.registry import find_objective
from tasks.pages.entities import name_entities
from tasks.rendering.comparison import find_best_baseline
from tasks.rendering.pictures import encode_picture
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.run_record import RunRecord
from tasks.training.answers import read_predictions


def pick_parts(workspace: Store, record: RunRecord) -> AnswerParts | None:
    """Choose the answers that a page shows; None for a run that did not get that far."""
    prepared, evaluated = record.find(Prepared), record.find(Evaluated)
    if prepared is None or evaluated is None:
        return None
    version = open_version(workspace, prepared.dataset)
    best = find_best_baseline(evaluated.score, evaluated.baselines)
    sheet = read_predictions(workspace, evaluated.predictions_path, evaluated.predictions)
    data = _read_data(record)
    known = read_known(version, sheet.row_id, data, evaluated.sample)
    held_out = HeldOut(
        sheet=sheet,
        sample=evaluated.sample,
        labels=evaluated.labels,
        best_baseline=best[0] if best is not None else None,
        rows=SampleRows(version, evaluated.sample),
        draw=_make_drawer(version, data),
        slices=_list_slices(workspace, record, known, data),
        moments=known.get(TIME),
        counted=counts_steps(data),
        step_ns=find_usual_step(version) if TIME in known and SERIES_ID in known else 0,
    )
    return find_objective(evaluated.sample).pick_parts(held_out)


def _list_slices(
    workspace: Store, record: RunRecord, known: Rows, data: RowsSpec
) -> Mapping[str, NDArray[Any]]:
    """List what rows are parts of; entities by names that people can look up."""
    slices = list_slices(known, data)
    collected = record.find(Collected)
    if data.entity not in slices or collected is None:
        return slices
    ids = known[SERIES_ID]
    names = name_entities(open_version(workspace, collected.dataset), ids)
    parts = slices[data.entity].tolist()
    found = [names.get(entity, part) for entity, part in zip(ids.tolist(), parts, strict=True)]
    return {**slices, data.entity: np.array(found, dtype=np.str_)}


def _read_data(record: RunRecord) -> RowsSpec:
    document: Any = record.recipe["document"]
    return parse_data(document["data"])


def _make_drawer(
    version: Version, data: RowsSpec
) -> Callable[[Iterable[int]], Mapping[int, bytes]]:
    """Return what draws rows as their form has them; one shard is in memory at a time."""
    form = find_task_form(data)

    def draw(row_ids: Iterable[int]) -> Mapping[int, bytes]:
        wanted, found = list(row_ids), {}
        for rows in iter_rows(version, HELD_OUT):
            for place in np.flatnonzero(np.isin(rows[ROW_ID], wanted)).tolist():
                drawing = form.draw_row("", rows, place, data)
                if drawing.pixels is None:
                    return {}  # No row of this form is a picture.
                picture = encode_picture(drawing.pixels, drawing.value_range)
                found[int(rows[ROW_ID][place])] = picture
        return found

    return draw
