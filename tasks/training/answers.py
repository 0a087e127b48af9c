"""Answers of a model to the rows of a split: asked of an artifact, or read where they were kept."""

from pathlib import Path

import numpy as np

from deployments.targets.run.runtime import Predictor
from lightning_modules.specs.quantiles import list_bands, name_quantile
from lightning_modules.specs.samples import Sample
from storage.base.errors import Corrupt
from storage.base.store import Store, sha256_bytes
from storage.records.receipts import FileRecord
from tasks.data.open_versions import open_version
from tasks.forms.streams import SampleRows
from tasks.objectives.sheets import AnswerSheet, unpack_answers
from tasks.runtime.outcomes import Prepared
from tasks.runtime.predictions import Predictions

LABEL = "label"


def answer_split(
    store: Store, prepared: Prepared, split: str, predictor: Predictor, sample: Sample
) -> AnswerSheet:
    """Answers every row of a split with an artifact, a batch at a time; ordered by row id.

    Quantiles are kept beside the median, as far as the artifact is asked for them.
    """
    rows = SampleRows(open_version(store, prepared.dataset), sample)
    parts = [
        (samples.row_id, samples.truth, predictor.predict(samples.sample))
        for samples in rows.read(split)
        if len(samples.row_id)
    ]
    ids, truths, answers = zip(*parts, strict=True)
    values = np.concatenate([each.values for each in answers])
    labels = [output.name for output in predictor.outputs if output.meaning == LABEL]
    decided = [np.concatenate([each.arrays[name] for each in answers]) for name in labels[:1]]
    asked = {output.name for output in predictor.outputs}
    bands = {
        level: np.concatenate([each.arrays[name_quantile(level)] for each in answers])
        for level in list_bands(sample.quantiles)
        if name_quantile(level) in asked
    }
    sheet = AnswerSheet(
        np.concatenate(ids),
        np.concatenate(truths),
        values,
        bands=bands,
        decided=next(iter(decided), None),
    )
    return sheet.take(np.argsort(sheet.row_id, kind="stable"))


def read_answers(directory: Path, written: Predictions) -> bytes:
    """Reads the answers that the training process wrote to its directory.

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
    """Reads answers that an earlier stage wrote to the workspace.

    Raises:
        Corrupt: The bytes are not those that it wrote.
    """
    content = store.read(path)
    if (found := sha256_bytes(content)) != record.sha256:
        raise Corrupt(
            f"predictions ({path}) must have sha256 {record.sha256}; got {found}; run again"
        )
    return unpack_answers(content)
