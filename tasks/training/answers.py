"""Answers of a model to the rows of a split: how they are kept, read again, and measured."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.runtime import Predictor
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.objectives import load_metric, measure_figures
from lightning_modules.specs.samples import RowSample
from storage.base.errors import Corrupt
from storage.base.store import Store, sha256_bytes
from storage.records.receipts import FileRecord
from tasks.data.open_versions import open_version
from tasks.forms.streams import SampleRows
from tasks.runtime.outcomes import Prepared, name_headline
from tasks.training.job import BASELINE, Predictions


@dataclass(frozen=True)
class AnswerSheet:
    """Answers for one split, ordered by row id.

    Attributes:
        row_id: (N,) uint64.
        truth: (N,) int64 labels, or (N,) or (N, H, T) float64 values, NaN where there is none.
        values: (N, K) probabilities, (N,) scores, or values of the truth's shape.
        baselines: What simpler means answer, by name.
    """

    row_id: NDArray[np.uint64]
    truth: NDArray[Any]
    values: NDArray[Any]
    baselines: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) int64: the most probable class."""
        return np.asarray(self.values.argmax(axis=1), dtype=np.int64)


def answer_split(
    store: Store, prepared: Prepared, split: str, predictor: Predictor, sample: AnySample
) -> AnswerSheet:
    """Answers every row of a split with an artifact, a batch at a time; ordered by row id."""
    rows = SampleRows(open_version(store, prepared.dataset), sample)
    parts = [
        (samples.row_id, samples.truth, predictor.predict(samples.sample).values)
        for samples in rows.read(split)
        if len(samples.row_id)
    ]
    row_id, truth, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(row_id, kind="stable")
    return AnswerSheet(row_id[order], truth[order], values[order])


def standardise_sheet(sheet: AnswerSheet, sample: AnySample, *, standard: bool) -> AnswerSheet:
    """The answers in the unit that figures are in: standard deviations of the training rows, if they are to be."""
    if (
        not standard
        or not isinstance(sample, RowSample)
        or sample.objective not in ("values", "forecast")
    ):
        return sheet
    scale = np.array(sample.scales[1]) if sample.objective == "forecast" else sample.scales[1][0]
    baselines = {name: values / scale for name, values in sheet.baselines.items()}
    return AnswerSheet(sheet.row_id, sheet.truth / scale, sheet.values / scale, baselines)


def measure_sheet(sheet: AnswerSheet, values: NDArray[Any], sample: AnySample) -> dict[str, float]:
    """Return the figures of some answers to a sheet's rows, by name; none that is not defined."""
    figures = measure_figures(values, sheet.truth, sample)
    return {figure.name: figure.value for figure in figures if figure.value is not None}


def measure_headline(sheet: AnswerSheet, sample: AnySample) -> float:
    """The figure that artifacts and champions are held against."""
    return load_metric(name_headline(sample), sample)(sheet.values, sheet.truth)


def measure_agreement(
    sheet: AnswerSheet, reference: AnswerSheet, sample: AnySample, tolerance: float
) -> float:
    """Fraction of the answers that are the reference's: the same class, or numbers hardly apart.

    Args:
        sheet: Answers in the source's units.
        reference: Those of the float model to the same rows.
        sample: What a sample is.
        tolerance: How far two numbers may be apart to agree, in standard deviations.
    """
    if not isinstance(sample, RowSample) or sample.objective == "classes":
        return float((sheet.predicted == reference.predicted).mean())
    if sample.objective == "reconstruction":
        scale: Any = max(float(reference.values.std()), 1e-12)
    else:
        scale = (
            np.array(sample.scales[1]) if sample.objective == "forecast" else sample.scales[1][0]
        )
    return float((np.abs(sheet.values - reference.values) <= tolerance * scale).mean())


def pack_answers(sheet: AnswerSheet) -> bytes:
    """Answers as the bytes of an .npz file; equal answers give equal bytes."""
    target = io.BytesIO()
    baselines = {f"{BASELINE}{name}": values for name, values in sheet.baselines.items()}
    arrays: dict[str, Any] = {
        "row_id": sheet.row_id,
        "truth": sheet.truth,
        "values": sheet.values,
        **baselines,
    }
    np.savez(target, **arrays)
    return target.getvalue()


def unpack_answers(content: bytes) -> AnswerSheet:
    """Answers from the bytes of an .npz file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        baselines = {
            name.removeprefix(BASELINE): arrays[name]
            for name in arrays.files
            if name.startswith(BASELINE)
        }
        return AnswerSheet(arrays["row_id"], arrays["truth"], arrays["values"], baselines)


def read_answers(directory: Path, written: Predictions) -> bytes:
    """The answers that the training process wrote to its directory.

    Raises:
        Corrupt: The bytes are not those that it wrote.
    """
    content = (directory / written.file).read_bytes()
    if (found := sha256_bytes(content)) != written.sha256:
        raise Corrupt(
            f"predictions ({directory / written.file}) must have sha256 {written.sha256}; got "
            f"{found}; run again"
        )
    return content


def read_predictions(store: Store, path: str, record: FileRecord) -> AnswerSheet:
    """Answers that an earlier stage wrote to the workspace.

    Raises:
        Corrupt: The bytes are not those that it wrote.
    """
    content = store.read(path)
    if (found := sha256_bytes(content)) != record.sha256:
        raise Corrupt(
            f"predictions ({path}) must have sha256 {record.sha256}; got {found}; run again"
        )
    return unpack_answers(content)
