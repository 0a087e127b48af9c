"""The table of built-in augmentations, and the one that a recipe asks for."""

from collections.abc import Callable
from typing import cast

from lightning_modules.data.augment import Augmentation, JitterAugmentation
from lightning_modules.data.augment_natural import ImageAugmentation
from lightning_modules.errors import SpecError
from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.samples import ImageSample, RowSample, Sample
from lightning_modules.specs.training import TrainSpec
from storage.base.registry import Registry

Builder = Callable[..., Augmentation]
AUGMENTATIONS: Registry[Builder] = Registry("augmentation", "lightning_modules")
"""Builders `(spec, seed, sample, epochs) -> Augmentation` by the names that forms list."""


def build_affine(
    spec: AugmentationSpec, seed: int, sample: ImageSample, epochs: int
) -> ImageAugmentation:
    """Returns the changes of images."""
    return ImageAugmentation(spec, seed, sample, epochs)


def build_jitter(
    spec: AugmentationSpec, seed: int, sample: RowSample, epochs: int
) -> JitterAugmentation:
    """Returns noise on the numbers of rows."""
    del epochs
    return JitterAugmentation(spec, seed, [column.std for column in sample.numbers])


AUGMENTATIONS.register("affine", build_affine)
AUGMENTATIONS.register("jitter", build_jitter)


def build_augmentation(train: TrainSpec, sample: Sample) -> Augmentation | None:
    """Returns the augmentation that a recipe asks for; None for none.

    Raises:
        SpecError: It does not suit the samples, or cannot be built.
    """
    spec, form = train.augmentation, FORMS.find(sample.form)
    name = spec.name or form.augmentation
    if not spec.enabled or name is None:
        return None
    if name not in AUGMENTATIONS:
        builder = load_component(name, what="augmentation", known={})
        built = build_component(builder, spec, train.seed, what="augmentation", name=name)
        return cast(Augmentation, built)
    if name not in form.augmentations:
        suited = " or ".join(form.augmentations) or "nothing"
        raise SpecError(
            f"augmentation ({name!r}) must suit the samples; got {sample.form}; write {suited}"
        )
    return AUGMENTATIONS.find(name)(spec, train.seed, sample, train.max_epochs)
