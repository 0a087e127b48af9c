"""The form `points`: clouds of points (N, points, 2) with a class each."""

from typing import Literal

import numpy as np

from storage.forms.base import RowsSpec
from storage.forms.form import Form, place_targets
from storage.forms.measures import measure_channels
from storage.forms.registry import FORMS
from storage.shards.row_ids import LABEL


class PointsSpec(RowsSpec):
    kind: Literal["points"] = "points"
    labels: tuple[str, ...]
    points: int


class PointsForm(Form):
    name = "points"
    spec = PointsSpec

    def read_arrays(self, values, targets, data, where):
        return {"points": values, **place_targets(targets, data)}, {}

    def find_invalid(self, rows, data):
        unknown = (rows[LABEL] < 0) | (rows[LABEL] >= len(data.labels))
        return ~np.isfinite(rows["points"]).all(axis=(1, 2)), unknown

    def measure_features(self, rows):
        return measure_channels(np.moveaxis(rows["points"], 2, 1))


FORMS.register(PointsForm.name, PointsForm())
