"""The small real data sets inside scikit-learn: offline, in a dependency that is there anyway."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import SourceUnavailable
from storage.base.store import sha256_bytes
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, TARGET, check_columns
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.sources.base import Decoded, Part, Source, SourceFile
from storage.sources.cutting import cut_evenly


class SklearnSource(Source):
    """One of scikit-learn's built-in data sets, without a split of its own."""

    type: Literal["sklearn"] = "sklearn"
    """Which source it is."""
    has_transparency: ClassVar[bool] = False
    dataset: Literal["digits", "iris", "wine", "breast_cancer", "diabetes"] = "digits"
    """`digits` are 1,797 images uint8 (1, 8, 8) with values 0 to 16 (Alpaydin and Kaynak, 1998);
    `iris`, `wine` and `breast_cancer` are tables with a class; `diabetes` is one with a target."""

    def scan(self, spec: RowsSpec | None, target_bytes: int) -> Iterator[Part | SourceFile]:
        """Loads the data set here; it is at most a few megabytes."""
        values, targets, names = _load(self.dataset)
        if spec is not None and spec.columns:
            wanted = [name for name in spec.columns if name not in (spec.label, spec.target)]
            check_columns(names, wanted, self.dataset)
            values = np.ascontiguousarray(values[:, [names.index(name) for name in spec.numbers]])
            names = spec.numbers
        for start, stop in cut_evenly(len(values), values[0].nbytes + 8, target_bytes):
            yield Part(
                name=self.dataset,
                start=start,
                stop=stop,
                detail=(values.dtype.str, values.shape[1:], targets.dtype.str, names),
                payload=values[start:stop].tobytes() + targets[start:stop].tobytes(),
            )
        content = values.tobytes() + targets.tobytes()
        yield SourceFile(name=self.dataset, size_bytes=len(content), sha256=sha256_bytes(content))

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes images uint8 (N, 1, 8, 8) or numbers float64 (N, D); labels or targets."""
        dtype, shape, target_dtype, names = part.detail
        count = part.stop - part.start
        targets = np.frombuffer(part.payload[-8 * count :], dtype=target_dtype)
        values = np.frombuffer(part.payload[: -8 * count], dtype=dtype).reshape(count, *shape)
        rows: Rows = (
            {LABEL: targets.astype(np.int64)}
            if targets.dtype.kind == "i"
            else {TARGET: targets.copy()}
        )
        if not names:
            return Decoded({"image": values.copy(), **rows})
        rows |= {
            NUMBERS: values.copy(),
            NUMBERS + VALID_SUFFIX: np.ones(values.shape, dtype=np.bool_),
        }
        return Decoded(rows, columns={NUMBERS: names, NUMBERS + VALID_SUFFIX: names})


def _load(name: str) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Loads values, labels (int64) or targets (float64), and names of columns; none of images."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise SourceUnavailable(
            f"source (sklearn) must have scikit-learn installed; got: {error}; install "
            "lepton-ai[platform]"
        ) from error
    bunch = getattr(datasets, f"load_{name}")()
    targets = bunch.target.astype("<i8" if bunch.target.dtype.kind == "i" else "<f8")
    if name == "digits":
        return bunch.images.astype(np.uint8)[:, np.newaxis], targets, ()
    return (
        np.ascontiguousarray(bunch.data, dtype="<f8"),
        targets,
        tuple(str(column) for column in bunch.feature_names),
    )
