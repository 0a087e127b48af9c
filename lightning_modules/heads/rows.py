"""What the heads of tables and of series have in common."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.errors import SpecError
from lightning_modules.heads.base import FormHead
from lightning_modules.heads.columns import RowHead
from lightning_modules.heads.layout import lay_out
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import RowSample


class RowFormHead(FormHead[RowSample]):
    """Builds heads of rows; what sets tables and series apart is in their own files."""

    def build_head(self, spec: HeadSpec, sample: RowSample) -> nn.Module:
        """Returns the standard head, or a user's own."""
        return build_row_head(spec, sample)

    def measure_features(
        self, head: nn.Module, spec: HeadSpec, sample: RowSample
    ) -> tuple[int, ...]:
        """Returns the shape of a row or window behind the head."""
        return probe_features(head, spec.name, sample.shape)

    def make_raw(self, sample: RowSample, rows: int, draw: np.random.Generator) -> NDArray[Any]:
        """Returns rows of noise around the columns' means; categories are the first of each."""
        values = np.zeros((rows, *sample.shape))
        for place, column in enumerate(sample.numbers):
            values[..., place] = column.mean + column.std * draw.standard_normal(values.shape[:-1])
        return values

    def flatten_features(self, sample: RowSample, raw: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the standard head's features, (N, features); of windows, the last categories."""
        head = RowHead(sample, HeadSpec())
        with torch.inference_mode():
            features = head(torch.from_numpy(raw))
            if features.ndim > 2 and sample.categories:
                columns = lay_out(sample, HeadSpec()).categories
                told = [place for places in columns for place in places]
                steps = features[..., [n for n in range(features.shape[-1]) if n not in told]]
                features = torch.cat([steps.flatten(1), features[:, -1, told]], 1)
            return np.asarray(features.flatten(1).double().numpy())


def build_row_head(spec: HeadSpec, sample: RowSample) -> nn.Module:
    """Builds the head that a recipe asks for.

    Raises:
        SpecError: A user's own head cannot be built.
    """
    if spec.name == "standard":
        return RowHead(sample, spec)
    builder = load_component(spec.name, what="head", known={})
    head = build_component(builder, sample, spec, what="head", name=spec.name, **spec.params)
    if not isinstance(head, nn.Module):
        raise SpecError(
            f"head ({spec.name!r}) must build a torch.nn.Module; got {type(head).__name__}; return "
            "one"
        )
    return head


def probe_features(head: nn.Module, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of one sample behind the head.

    Raises:
        SpecError: The head does not take such samples, or gives no features (N, ...) in float32.
    """
    try:
        with torch.no_grad():
            features = head(torch.zeros((2, *shape), dtype=torch.float64))
    except Exception as error:
        raise SpecError(
            f"head ({name!r}) must take samples of the shape {shape}; got {type(error).__name__}: "
            f"{error}; correct it"
        ) from error
    if (
        not isinstance(features, Tensor)
        or features.dtype != torch.float32
        or len(features) != 2
        or features.ndim < 2
    ):
        got = (
            f"{tuple(features.shape)} {features.dtype}"
            if isinstance(features, Tensor)
            else type(features).__name__
        )
        raise SpecError(
            f"head ({name!r}) must give float32 features (N, ...); got {got}; correct it"
        )
    return tuple(features.shape[1:])
