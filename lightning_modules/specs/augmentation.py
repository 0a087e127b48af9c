"""How training samples are changed at random, as a recipe says it."""

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lightning_modules.specs.base import Spec, check_name
from lightning_modules.specs.forms import list_augmentations

AugmentationName = Annotated[
    str, AfterValidator(partial(check_name, "augmentation", list_augmentations))
]


class AugmentationSpec(Spec):
    """Small random changes of the training samples: a pure function of (seed, epoch, row id).

    "affine" is one map an image, sampled bilinearly in the images' own value range; what comes in
    from outside is zero. Then come the changes for natural images, `crop` to `cutout`.
    """

    name: AugmentationName | None = None
    """"affine" for images; "jitter" for tables and series: Gaussian noise on numbers; or the import
    path of a callable `(spec, seed) -> augment.Augmentation`. None: "affine" for images, none for
    others."""
    params: dict[str, Any] = Field(default_factory=dict)
    """For an augmentation of your own to read."""
    enabled: bool = True
    """False leaves every sample as it is."""
    noise: float = Field(default=0.05, ge=0, le=10)
    """Standard deviation of "jitter", in standard deviations of the training rows."""
    shift: float = Field(default=0.05, ge=0, le=0.5)
    """Largest shift along each axis, as a fraction of that axis, in [0, 0.5]."""
    rotate_deg: float = Field(default=8.0, ge=0, le=180)
    """Largest rotation, in degrees, in [0, 180]."""
    scale: float = Field(default=0.08, ge=0, le=0.5)
    """Largest change of size: the factor lies in [1 - scale, 1 + scale], scale in [0, 0.5]."""
    shear_deg: float = Field(default=3.0, ge=0, le=45)
    """Largest shear, in degrees, in [0, 45]."""
    flip: bool = False
    """Whether half of the images are mirrored left to right, and the other half in the next epoch
    (never for digits or letters)."""
    crop: int = Field(default=0, ge=0, le=64)
    """Largest shift by whole pixels along each axis, in [0, 64]; what comes in is the mirror image
    of the edge."""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Largest change of all values, as a fraction of the value range, in [0, 1]."""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Largest change of the distance from the image's mean: the factor lies in [1 - contrast, 1 +
    contrast]."""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """The same for the distance from each pixel's mean over the channels."""
    cutout: float = Field(default=0.0, ge=0, le=1)
    """Edge of one square that is painted over with the image's mean, as a fraction of the shorter
    edge, in [0, 1] (DeVries and Taylor, 2017)."""
    small_from: float = Field(default=1.0, ge=0.25, le=1)
    """Edge of the images in the first epoch as a fraction of the full one, in [0.25, 1]; it grows
    by even numbers of pixels, up to full images at `small_until`. Small images cost little, and
    teach what is coarse."""
    small_until: float = Field(default=0.75, ge=0, le=1)
    """Part of the epochs before which images are smaller, in [0, 1]."""
