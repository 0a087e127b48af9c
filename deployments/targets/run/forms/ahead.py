"""Rows of steps to come: what is known of them is given, and nothing else."""

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadInput
from deployments.targets.trust.card import InputSpec


def check_ahead(samples: NDArray[np.float64], spec: InputSpec, where: str) -> None:
    """Checks that the last rows of windows are of steps to come: empty but for what is known.

    A file that ends with the present would else be answered as if its last rows were to come.

    Args:
        samples: (N, L, D) windows.
        spec: What the model takes.
        where: What they came as, for messages.

    Raises:
        BadInput: One holds a value that is not known beforehand.
    """
    if not spec.ahead:
        return
    unknown = [
        place
        for place, column in enumerate(spec.columns)
        if not column.is_time and column.name not in (*spec.known, spec.entity)
    ]
    given = ~np.isnan(samples[:, -spec.ahead :][..., unknown])
    if given.any():
        names = [spec.columns[unknown[place]].name for place in np.flatnonzero(given.any((0, 1)))]
        raise BadInput(
            f"input ({where}) must end with {spec.ahead} rows of the steps to come, of which only "
            f"{', '.join(spec.known)} are known; got values of {', '.join(names)}; append those "
            "rows behind the present, with these columns empty (null, NaN)"
        )
