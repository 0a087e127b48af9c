"""Answers of a model to the rows of a split, and how they are kept: as an .npz file."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASELINE, BAND, MARGINS, THRESHOLD = "baseline ", "quantile ", "margins ", "threshold "
"""What stands in the file before a baseline's name, a quantile, and the name again, twice."""
DECIDED = "decided"


@dataclass(frozen=True)
class AnswerSheet:
    """Answers for one split, ordered by row id.

    Attributes:
        row_id: (N,) uint64.
        truth: (N,) int64 labels, or (N,) or (N, H, T) float64 values, NaN where there is none.
        values: (N, K) probabilities, (N,) scores, or values of the truth's shape.
        baselines: What the baselines answer, by name.
        bands: Values of the truth's shape of each quantile beside the median, which the values are.
        margins: What makes a baseline's answers quantiles, (Q, ...) by its name: the margins of
            all quantiles, that of the median 0.
        thresholds: From which probability on a baseline answers with the positive of two classes,
            (1,) by its name, where one was chosen for it as for the model.
        decided: (N,) classes that an artifact itself answered; None where it was not asked.
    """

    row_id: NDArray[np.uint64]
    truth: NDArray[Any]
    values: NDArray[Any]
    baselines: dict[str, NDArray[Any]] = field(default_factory=dict)
    bands: dict[float, NDArray[Any]] = field(default_factory=dict)
    margins: dict[str, NDArray[Any]] = field(default_factory=dict)
    thresholds: dict[str, NDArray[Any]] = field(default_factory=dict)
    decided: NDArray[Any] | None = None

    def divide(self, scale: Any) -> "AnswerSheet":
        """Return the same answers and truths in another unit, which is `scale` of this one."""
        return replace(
            self,
            truth=self.truth / scale,
            values=self.values / scale,
            baselines={name: values / scale for name, values in self.baselines.items()},
            bands={level: values / scale for level, values in self.bands.items()},
            margins={name: values / scale for name, values in self.margins.items()},
        )

    def take(self, rows: NDArray[Any]) -> "AnswerSheet":
        """Return the answers to some rows, by their places or a mask."""
        return replace(
            self,
            row_id=self.row_id[rows],
            truth=self.truth[rows],
            values=self.values[rows],
            baselines={name: values[rows] for name, values in self.baselines.items()},
            bands={level: values[rows] for level, values in self.bands.items()},
            decided=None if self.decided is None else self.decided[rows],
        )


def pack_answers(sheet: AnswerSheet) -> bytes:
    """Return answers as the bytes of an .npz file; equal answers give equal bytes."""
    arrays = {"row_id": sheet.row_id, "truth": sheet.truth, "values": sheet.values}
    arrays |= {f"{BASELINE}{name}": values for name, values in sheet.baselines.items()}
    arrays |= {f"{BAND}{level!r}": values for level, values in sheet.bands.items()}
    arrays |= {f"{MARGINS}{name}": values for name, values in sheet.margins.items()}
    arrays |= {f"{THRESHOLD}{name}": value for name, value in sheet.thresholds.items()}
    arrays |= {} if sheet.decided is None else {DECIDED: sheet.decided}
    return pack_arrays(arrays)


def unpack_answers(content: bytes) -> AnswerSheet:
    """Read answers from the bytes of an .npz file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        by_prefix = {
            prefix: {
                name.removeprefix(prefix): arrays[name]
                for name in arrays.files
                if name.startswith(prefix)
            }
            for prefix in (BASELINE, BAND, MARGINS, THRESHOLD)
        }
        return AnswerSheet(
            arrays["row_id"],
            arrays["truth"],
            arrays["values"],
            by_prefix[BASELINE],
            {float(level): values for level, values in by_prefix[BAND].items()},
            by_prefix[MARGINS],
            by_prefix[THRESHOLD],
            arrays[DECIDED] if DECIDED in arrays.files else None,
        )


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as an uncompressed .npz file.

    Equal arrays give equal bytes, since no time is noted, unlike in `numpy.savez`.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
    return target.getvalue()
