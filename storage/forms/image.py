"""Images: rows with an image of one shape and a class each."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from storage.base.errors import InvalidInput
from storage.forms.base import RowsSpec
from storage.forms.form import Columns, Form, Mask, number_classes
from storage.forms.image_field import ImageField
from storage.forms.measures import Moments, measure_channels
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows, find_valid

IMAGE = "image"
_MASKS = frozenset({IMAGE + VALID_SUFFIX, LABEL + VALID_SUFFIX})


class ImageSpec(RowsSpec):
    """Labelled images."""

    kind: Literal["image"] = "image"
    """What the rows are."""
    image: ImageField
    """What an image is."""
    labels: tuple[str, ...] = Field(min_length=2)
    """Names of the classes; class i has label i. Of folders of pictures their own names."""

    @field_validator("labels")
    @classmethod
    def _reject_repeated(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            raise ValueError("be names that differ; remove the repeated one")
        return labels


class ImageForm(Form):
    """Images of one shape, type and range of values, with labels."""

    name = "image"
    spec = ImageSpec

    def read_arrays(
        self, values: NDArray[Any], targets: NDArray[Any], data: RowsSpec | None, where: str
    ) -> tuple[Rows, Columns]:
        """Makes images (N, C, H, W).

        A channel is added where there is none, and moved where it is last.
        """
        image = data.image if data is not None else None
        images = put_channels_first(values, image.shape if image is not None else None)
        labels = data.labels if data is not None else ()
        return {IMAGE: images, LABEL: number_classes(targets, labels)}, {}

    def find_invalid(self, rows: Rows, data: RowsSpec) -> tuple[Mask, Mask]:
        """Marks images with values outside their range, and labels that are no class."""
        if data.image is not None:
            _check_field(rows, data.image)
        limits = data.image.value_range if data.image is not None else (-np.inf, np.inf)
        features = _is_outside(rows[IMAGE], limits) | ~find_valid(rows, IMAGE)
        labels = rows[LABEL]
        return features, ~((labels >= 0) & (labels < len(data.labels))) | ~find_valid(rows, LABEL)

    def drop_masks(self, rows: Rows) -> Rows:
        """Takes out the masks of images and labels, which are all valid by now."""
        return {name: values for name, values in rows.items() if name not in _MASKS}

    def measure_features(self, rows: Rows) -> Moments:
        """Measures each channel."""
        return measure_channels(rows[IMAGE])


def put_channels_first(values: NDArray[Any], wanted: tuple[int, int, int] | None) -> NDArray[Any]:
    """Brings images to (N, C, H, W); channels are last only where the wanted shape says so."""
    if values.ndim == 3:
        return values[:, np.newaxis]
    last = values.ndim == 4 and values.shape[1:] != wanted
    if last and wanted == (values.shape[3], *values.shape[1:3]):
        return np.ascontiguousarray(np.moveaxis(values, -1, 1))
    return values


def _check_field(rows: Rows, image: ImageField) -> None:
    found = rows.get(IMAGE)
    if found is None or LABEL not in rows:
        raise InvalidInput(
            f"rows (fields {', '.join(sorted(rows))}) must have an image and a label; choose a "
            "source of images, or another kind of data section"
        )
    if found.shape[1:] != image.shape or found.dtype != np.dtype(image.dtype):
        raise InvalidInput(
            f"field (image) must hold {image.dtype} of shape {image.shape}; got {found.dtype.name} "
            f"of shape {found.shape[1:]}; mend data.image in the recipe"
        )


def _is_outside(values: NDArray[Any], limits: tuple[float, float]) -> Mask:
    """Marks rows with a value that is NaN or outside the limits."""
    # NaN is neither above nor below, hence the negation.
    flat = values.reshape(len(values), -1)
    inside: Mask = (flat.min(axis=1) >= limits[0]) & (flat.max(axis=1) <= limits[1])
    return ~inside
