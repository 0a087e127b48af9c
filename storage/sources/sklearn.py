"""The small real data sets inside scikit-learn: offline, in a dependency that is there anyway."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.files import sha256_bytes
from storage.rows import LABEL
from storage.sources.base import Decoded, Part, Source, SourceFile, cut_evenly
from storage.specs import RowsSpec


class SklearnSource(Source):
    """One of scikit-learn's built-in data sets, without a split of its own.

    Attributes:
        dataset: `digits` are 1,797 images uint8 (1, 8, 8) with values 0 to 16 (Alpaydin and Kaynak, 1998).
    """

    type: Literal["sklearn"] = "sklearn"
    dataset: Literal["digits"] = "digits"

    def scan(self, spec: RowsSpec | None, target_bytes: int) -> Iterator[Part | SourceFile]:
        """Loads the data set here; it is at most a few megabytes."""
        images, labels = _load_digits()
        row_bytes = images[0].nbytes + labels[0].nbytes
        for start, stop in cut_evenly(len(images), row_bytes, target_bytes):
            yield Part(
                name=self.dataset,
                start=start,
                stop=stop,
                detail=images.shape[1:],
                payload=images[start:stop].tobytes() + labels[start:stop].tobytes(),
            )
        content = images.tobytes() + labels.tobytes()
        yield SourceFile(name=self.dataset, size_bytes=len(content), sha256=sha256_bytes(content))

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Images uint8 (N, 1, 8, 8) in 0 to 16, labels int64."""
        count = part.stop - part.start
        labels = np.frombuffer(part.payload[-8 * count :], dtype="<i8").astype(np.int64)
        images = np.frombuffer(part.payload[: -8 * count], dtype=np.uint8).reshape(count, *part.detail)
        return Decoded({"image": images.copy(), LABEL: labels})


def _load_digits() -> tuple[NDArray[np.uint8], NDArray[Any]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SourceError(
            f"source (sklearn) must have scikit-learn installed; got: {error}; install lepton-ai[platform]"
        ) from error
    digits = load_digits()
    return digits.images.astype(np.uint8)[:, np.newaxis], digits.target.astype("<i8")
