"""Evaluate: the held-out rows, once: by the new model and, on the same rows, by the champions it would replace."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.card import InputSpec
from deployments.targets.channel import open_channel, read_champion
from deployments.targets.release import Release
from deployments.targets.runtime import Predictor
from storage.errors import Corrupt
from storage.files import Store, sha256_bytes
from storage.models import compute_model_id, model_folder
from storage.receipts import FileRecord
from storage.specs import DataSpec
from tasks.gate_data import iter_rows, open_version
from tasks.results import ChampionFigures, Collected, Evaluated, Prepared, Trained
from tasks.stage import stage
from tasks.train import HELD_OUT
from tasks.train_job import Predictions


@dataclass(frozen=True)
class AnswerSheet:
    """Answers for one split.

    Attributes:
        row_id: (N,) uint64.
        label: (N,) int64, the truth.
        probabilities: (N, K) float32.
    """

    row_id: NDArray[np.uint64]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) int64: the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


@stage
def evaluate(
    workspace: str,
    raw: Collected,
    prepared: Prepared,
    trained: Trained,
    recipe_digest: str,
    data: DataSpec,
    channels: tuple[str, ...],
) -> Evaluated:
    """Judges what the float model answered on the held-out split, and asks each channel's champion the same rows.

    Raises:
        Corrupt: The answers are not those that training wrote.
    """
    store, directory = Store(workspace), Path(trained.directory)
    result = trained.held_out_predictions
    content = read_answers(directory, result)
    model_id = compute_model_id(
        trained.checkpoint.sha256, recipe_digest, [raw.dataset.manifest, prepared.dataset.manifest]
    )
    record = FileRecord(sha256=result.sha256, size_bytes=result.size_bytes)
    path = f"reports/{directory.name}/held-out.npz"
    store.write(path, content)
    answers = unpack_answers(content)
    return Evaluated(
        model_id=model_id,
        predictions_path=path,
        predictions=record,
        loss=result.loss,
        **_measure(answers, len(data.labels)),
        champions=_judge_champions(store, directory.name, prepared, data, channels),
    )


def _measure(answers: AnswerSheet, classes: int) -> dict[str, Any]:
    """Accuracy, macro F1 (unweighted mean over classes; van Rijsbergen, 1979), majority baseline, confusion matrix."""
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (answers.label, answers.predicted), 1)
    right, truths, answered = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * right / np.maximum(truths + answered, 1)
    return {
        "accuracy": float(right.sum() / len(answers.label)),
        "macro_f1": float(f1.mean()),
        "majority_accuracy": float(truths.max() / len(answers.label)),
        "confusion": tuple(tuple(int(count) for count in row) for row in confusion),
    }


def _judge_champions(
    store: Store, run: str, prepared: Prepared, data: DataSpec, channels: tuple[str, ...]
) -> tuple[ChampionFigures, ...]:
    """Each channel's promoted model on the held-out rows; its bytes are held against the signed release first."""
    found = []
    for name in channels:
        release = read_champion(open_channel(store, name))
        if release is not None:
            found.append(_judge_champion(store, run, prepared, data, name, release))
    return tuple(found)


def _judge_champion(
    store: Store, run: str, prepared: Prepared, data: DataSpec, channel: str, release: Release
) -> ChampionFigures:
    content = read_release(store, release)
    image = data.image
    spec = InputSpec(dtype=image.dtype, shape=image.shape, value_range=image.value_range)
    predictor = Predictor(content, spec, len(data.labels), threads=1)
    answers = answer_split(store, prepared, HELD_OUT, predictor)
    packed = pack_answers(answers)
    record = FileRecord(sha256=sha256_bytes(packed), size_bytes=len(packed))
    path = f"reports/{run}/held-out-champion-{channel}.npz"
    store.write(path, packed)
    return ChampionFigures(
        channel=channel,
        release=release.number,
        model_id=release.model_id,
        accuracy=float((answers.predicted == answers.label).mean()),
        predictions_path=path,
        predictions=record,
    )


def read_release(store: Store, release: Release) -> bytes:
    """The artifact of a release, from its model's directory.

    Raises:
        Corrupt: The bytes are not those that the release signed.
    """
    content = model_folder(store, release.model_id).read(release.file)
    if (found := sha256_bytes(content)) != release.sha256:
        raise Corrupt(
            f"artifact (models/{release.model_id}/{release.file}) must have sha256 {release.sha256}, as {release.title} "
            f"signed; got {found}; run `lepton verify {release.model_id}`"
        )
    return content


def answer_split(store: Store, prepared: Prepared, split: str, predictor: Predictor) -> AnswerSheet:
    """Answers every row of a split with an artifact, a shard at a time; ordered by row id."""
    parts = []
    for rows in iter_rows(open_version(store, prepared.dataset), split, ("row_id", "label", "image")):
        answers = predictor.predict(rows["image"])
        parts.append((rows["row_id"], rows["label"], answers.probabilities))
    row_id, label, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(row_id, kind="stable")
    return AnswerSheet(row_id=row_id[order], label=label[order], probabilities=probabilities[order])


def pack_answers(answers: AnswerSheet) -> bytes:
    """Answers as the bytes of an .npz file; equal answers give equal bytes."""
    target = io.BytesIO()
    np.savez(target, row_id=answers.row_id, label=answers.label, probabilities=answers.probabilities)
    return target.getvalue()


def unpack_answers(content: bytes) -> AnswerSheet:
    """Answers from the bytes of an .npz file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return AnswerSheet(arrays["row_id"], arrays["label"], arrays["probabilities"])


def read_answers(directory: Path, written: Predictions) -> bytes:
    """The answers that the training process wrote to its directory.

    Raises:
        Corrupt: The bytes are not those that it wrote.
    """
    content = (directory / written.file).read_bytes()
    if (found := sha256_bytes(content)) != written.sha256:
        raise Corrupt(
            f"predictions ({directory / written.file}) must have sha256 {written.sha256}; got {found}; run again"
        )
    return content


def read_predictions(store: Store, path: str, record: FileRecord) -> AnswerSheet:
    """Answers that an earlier stage wrote to the workspace.

    Raises:
        Corrupt: The bytes are not those that it wrote.
    """
    content = store.read(path)
    if (found := sha256_bytes(content)) != record.sha256:
        raise Corrupt(f"predictions ({path}) must have sha256 {record.sha256}; got {found}; run again")
    return unpack_answers(content)
