"""Tells tasks of images: one field of raw values and a label."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import InputSpec
from gates.drift.probe import shrink_images
from gates.engine.tables import FieldRule
from gates.prepared.near_duplicates import hash_pictures
from gates.raw.check_names import IMAGE_INF, IMAGE_MAX, IMAGE_MIN, IMAGE_MISSING
from gates.specs.raw import RawGate
from lightning_modules.data.readers import ImageReader
from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.measure import choose_positive
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import ImageSample
from storage.base.errors import InvalidInput
from storage.datasets.version import Version
from storage.forms.image import ImageSpec
from storage.pipeline.fitted import Fitted
from storage.shards.row_ids import VALID_SUFFIX, Rows
from tasks.forms.base import Drawing, Mask, RowMarker, TaskForm
from tasks.forms.columns import Column

IMAGE = "image"
Range = tuple[float, float]


class ImageForm(TaskForm[ImageSpec, ImageSample]):
    """Is the form of labelled images."""

    derived_prefix = "image."
    looks = (IMAGE,)
    fitted_field = IMAGE

    def describe_sample(
        self, objective: str, data: ImageSpec, model: ModelSpec, fitted: Fitted
    ) -> ImageSample:
        """Describe one image, with the statistics of its channels."""
        return ImageSample(
            objective=objective,
            shape=data.image.shape,
            dtype=data.image.dtype,
            classes=len(data.labels),
            class_weights=fitted.class_weights,
            positive=choose_positive(fitted.class_weights, data.labels, model.positive),
            value_range=data.image.value_range,
            mean=fitted.mean,
            std=fitted.std,
        )

    def describe_input(self, sample: ImageSample, data: ImageSpec) -> InputSpec:
        """Describe the raw image that an artifact takes."""
        return InputSpec(
            form=data.kind,
            name=FORMS.find(sample.form).input_name,
            dtype=sample.dtype,
            shape=sample.shape,
            value_range=sample.value_range,
            background=data.image.background,
        )

    def read_inputs(
        self, inputs: NDArray[Any], spec: InputSpec, data: ImageSpec
    ) -> tuple[Rows, Mapping[str, tuple[str, ...]]]:
        """Return images as they were asked."""
        wanted = (np.dtype(data.image.dtype), data.image.shape)
        if (inputs.dtype, inputs.shape[1:]) != wanted:
            raise InvalidInput(
                f"images must be {data.image.dtype} of shape {data.image.shape}, as data.image "
                f"says; got {inputs.dtype} of shape {inputs.shape[1:]}; they are an older model's"
            )
        return {IMAGE: inputs}, {}

    def open_reader(self, version: Version, sample: ImageSample) -> ImageReader:
        """Open what reads images and labels."""
        return ImageReader()

    def list_columns(self, data: ImageSpec) -> tuple[Column, ...]:
        """List the label and the image, of which the statistics alone are compared."""
        return (*super().list_columns(data), Column(IMAGE, IMAGE, "array", IMAGE))

    def declare_fields(self, data: ImageSpec) -> Mapping[str, FieldRule]:
        """Say which type, shape and range an image has."""
        image = data.image
        rule = FieldRule(dtype=image.dtype, shape=image.shape, value_range=image.value_range)
        return {IMAGE: rule}

    def find_marker(
        self, about: str, version: Version, data: ImageSpec, limits: RawGate
    ) -> RowMarker | None:
        """Find what marks images with values that they must not have, or without a label."""
        mark = _MARKS.get(about)
        if mark is None:
            return super().find_marker(about, version, data, limits)
        return RowMarker((IMAGE,), partial(mark, value_range=data.image.value_range))

    def make_features(self, accepted: Version, data: ImageSpec) -> "Cells":
        """Make cells of images, in the declared range."""
        return Cells(data.image.value_range)

    def hash_looks(self, rows: Rows) -> NDArray[np.uint64]:
        """Return perceptual hashes of images."""
        hashes: NDArray[np.uint64] = hash_pictures(rows[IMAGE])
        return hashes

    def read_pictures(self, rows: Rows) -> NDArray[Any] | None:
        """Return the images."""
        return rows[IMAGE]

    def draw_row(self, about: str, rows: Rows, place: int, data: ImageSpec) -> Drawing:
        """Draw the image itself."""
        return Drawing(pixels=rows[IMAGE][place], value_range=data.image.value_range)


@dataclass(frozen=True)
class Cells:
    """Looks at images as the label probe does: by the mean of each cell, from 0 to 1."""

    value_range: Range

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Return the cells of images, (N, F)."""
        cells: NDArray[np.float32] = shrink_images(rows[IMAGE], self.value_range)
        return cells

    def spread(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cells as they are."""
        return features

    def name(self, count: int) -> Sequence[str]:
        """Name the cells by their number."""
        return [f"cell {number} of the image" for number in range(count)]


def _flatten(rows: Rows) -> NDArray[Any]:
    """Return one row of values an image, (N, values)."""
    return rows[IMAGE].reshape(len(rows[IMAGE]), math.prod(rows[IMAGE].shape[1:]))


def mark_range(rows: Rows, value_range: Range, *, lower: bool) -> Mask:
    """Mark images with a value beyond one end of the range, or without any finite value."""
    values = _flatten(rows)
    finite = np.isfinite(values)
    outside = values < value_range[0] if lower else values > value_range[1]
    bad: Mask = np.where(finite, outside, False).any(axis=1) | ~finite.any(axis=1)
    return bad


def mark_missing(rows: Rows, value_range: Range) -> Mask:
    """Mark images that are missing, or hold NaN."""
    lost: Mask = np.asarray(np.isnan(_flatten(rows)).any(axis=1))
    return lost | ~rows.get(IMAGE + VALID_SUFFIX, np.ones(len(lost), np.bool_))


def mark_infinite(rows: Rows, value_range: Range) -> Mask:
    """Mark images with an infinite value."""
    return np.asarray(np.isinf(_flatten(rows)).any(axis=1))


_MARKS: dict[str, Callable[..., Mask]] = {
    IMAGE_MIN: partial(mark_range, lower=True),
    IMAGE_MAX: partial(mark_range, lower=False),
    IMAGE_MISSING: mark_missing,
    IMAGE_INF: mark_infinite,
}
