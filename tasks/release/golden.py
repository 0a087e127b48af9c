"""Makes golden samples: made-up rows, and what an artifact's exact bytes answer to them.

No row leaves the workspace with a model. Each value of a made-up sample is one that some
validation row has at that place, each place from another row, so that the samples lie in the
range that the model knows and belong to nobody.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.runtime import Answers, Predictor
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.golden import (
    MAX_GOLDEN_BYTES,
    MAX_SAMPLES,
    ArrayText,
    Golden,
)

Array = NDArray[Any]
TOLERANCE = 0.02
"""Processors differ by about 1e-6 in floats, and by a step of int8 now and then."""
DRAWN = 32
SEED = 0


def shuffle_values(rows: Array, spec: InputSpec, drawn: int = DRAWN) -> Array:
    """Make up samples from rows (N, *shape): each value is of another row, at the same place.

    Args:
        rows: Raw validation rows, N >= 1.
        spec: What the artifact takes.
        drawn: Most samples to make.

    Returns:
        (1 to `drawn`, *shape), the spec's dtype, none of them a row. Where no other can be made, as
        of one row, it is one sample of zeros, or of the value nearest to zero that may stand.
    """
    flat = rows.reshape(len(rows), -1)
    places = np.arange(flat.shape[1])
    rng = np.random.default_rng(SEED)
    real = {row.tobytes() for row in flat}
    made = (flat[rng.integers(len(flat), size=len(places)), places] for _ in range(drawn))
    kept = {sample.tobytes(): sample for sample in made}
    samples = [sample for content, sample in kept.items() if content not in real]
    if not samples:
        samples = [np.zeros(len(places)).clip(*spec.bounds)]
    return np.stack(samples).astype(spec.dtype).reshape(-1, *spec.shape)


def make_golden(predictor: Predictor, samples: Array) -> Golden:
    """Ask an artifact for made-up samples, and keep a few of those that it is surest of.

    Args:
        predictor: The artifact's exact bytes, loaded.
        samples: Made-up samples, (N, *shape), N >= 1.
    """
    answers = predictor.predict(samples, batch_size=1)
    arrays = answers.arrays
    one_bytes = sum(array[:1].nbytes for array in (samples, *arrays.values()))
    count = max(1, min(MAX_SAMPLES, MAX_GOLDEN_BYTES // one_bytes))
    chosen = _choose(answers, len(samples))[:count]
    return Golden(
        input=ArrayText.of(samples[chosen]),
        outputs={name: ArrayText.of(array[chosen]) for name, array in arrays.items()},
        tolerance=TOLERANCE,
    )


def _choose(answers: Answers, count: int) -> list[int]:
    """Put samples in order: the surest of each label, then the others, the surest first.

    A sure answer stays the same on another processor; one of each label tells a model that always
    answers the same from one that works.
    """
    label = next((spec.name for spec in answers.outputs if spec.meaning == "label"), None)
    if label is None:
        return list(range(count))
    labels = answers.arrays[label].reshape(count, -1)[:, 0]
    order = np.argsort(-_measure_sureness(answers, labels), kind="stable").tolist()
    first: dict[int, int] = {}
    for place in order:
        first.setdefault(int(labels[place]), place)
    return [*first.values(), *(place for place in order if place not in first.values())]


def _measure_sureness(answers: Answers, labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Measure how far each answer is from another label, (N,).

    By the distance of the two best probabilities; of a score, by its distance from those of another
    label, or from the most doubtful one where all have the same.
    """
    values = answers.values.astype(np.float64).reshape(len(labels), -1)
    if values.shape[1] > 1:
        best = np.sort(values, axis=1)
        return np.asarray(best[:, -1] - best[:, -2])
    score, lower = values[:, 0], labels == labels.min()
    if lower.all():
        border = score.max() if labels.max() == 0 else score.min()
    else:
        border = (score[lower].max() + score[~lower].min()) / 2
    return np.asarray(np.abs(score - border))
