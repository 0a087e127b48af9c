"""The forms of samples that networks are built for, in a table that plug-ins can add to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import SerializeAsAny, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from lightning_modules.specs import families
from lightning_modules.specs.params import Params
from lightning_modules.specs.samples import ImageSample, RowSample, Sample
from storage.base.registry import Registry

AUTO = "auto"
"""Stands for a family that a race among all that suit chooses."""


@dataclass(frozen=True)
class SampleForm:
    """One form: what a recipe and a card can say about its samples.

    Attributes:
        name: "image", "table", "series", or a plug-in's.
        sample: The class of its samples.
        input_name: Name of an exported network's input.
        families: Built-in networks by name, with the class of their parameters.
        head_settings: Settings of `model.head` that mean something for it.
        normalisations: Values of `model.head.normalise` that do.
        augmentations: Built-in augmentations that suit it.
        windowed: Whether a sample is a window of rows, as `model.window` says.
        augmentation: The one of them that a recipe gets that names none; None for none.
        computes_in_bf16: Whether its values bear bf16, so that `precision: auto` may choose it.
    """

    name: str
    sample: type[Sample]
    input_name: str
    families: Mapping[str, type[Params]]
    head_settings: tuple[str, ...] = ()
    normalisations: tuple[str, ...] = ("standard", "none")
    augmentations: tuple[str, ...] = ()
    augmentation: str | None = None
    windowed: bool = False
    computes_in_bf16: bool = False


FORMS: Registry[SampleForm] = Registry("form of samples", "specs")
FORMS.register(
    "image",
    SampleForm(
        name="image",
        sample=ImageSample,
        input_name="image",
        families=families.IMAGE_FAMILIES,
        head_settings=("normalise", "mirror"),
        normalisations=("standard", "range", "none"),
        augmentations=("affine",),
        augmentation="affine",
        computes_in_bf16=True,
    ),
)
FORMS.register(
    "table",
    SampleForm(
        name="table",
        sample=RowSample,
        input_name="row",
        families=families.TABLE_FAMILIES,
        head_settings=(
            "name",
            "params",
            "normalise",
            "mask",
            "embed",
            "hash",
            "frequency",
            "products",
            "differences",
        ),
        augmentations=("jitter",),
    ),
)
FORMS.register(
    "series",
    SampleForm(
        name="series",
        sample=RowSample,
        input_name="window",
        families=families.SERIES_FAMILIES,
        head_settings=(
            *("name", "params", "normalise", "mask", "embed", "hash", "frequency"),
            *("denoise", "calendar", "instance_norm"),
        ),
        normalisations=("standard", "none", "entity"),
        augmentations=("jitter",),
        windowed=True,
    ),
)


def list_families() -> tuple[str, ...]:
    """Returns the names of all families, of any form."""
    return tuple(dict.fromkeys(name for form in FORMS.rows for name in form.families))


def list_augmentations() -> tuple[str, ...]:
    """Returns the names of all built-in augmentations, of any form."""
    return tuple(dict.fromkeys(name for form in FORMS.rows for name in form.augmentations))


def check_params(form: str, family: str, params: dict[str, Any]) -> Params | None:
    """Returns the parameters of a family; None where the family is a user's own or unknown.

    Raises:
        pydantic.ValidationError: A parameter is unknown or impossible.
    """
    known = FORMS.find(form).families.get(family)
    return None if known is None else known.model_validate(params)


def _narrow_sample(found: Any, handler: ValidatorFunctionWrapHandler) -> Sample:
    """Reads a sample as its form's own class, a plug-in's among them."""
    if isinstance(found, Sample):
        return found
    if not isinstance(found, dict) or not isinstance(found.get("form"), str):
        return handler(found)  # type: ignore[no-any-return]
    return FORMS.find(found["form"]).sample.model_validate(found)


AnySample = Annotated[SerializeAsAny[Sample], WrapValidator(_narrow_sample)]
