"""Fits the statistics that head and loss are built from, on the training split alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from storage.base.documents import leave_out_defaults
from storage.forms.measures import MOST_TEXTS, Measured, Moments, merge_entities


class EntityFitted(BaseModel):
    """Mean and standard deviation of each column of an entity's numbers.

    None stands where a column has no value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float | None, ...]
    std: tuple[float | None, ...]


class Fitted(BaseModel):
    """What preparing learned from the training split, and what became of all other rows.

    Attributes:
        rows: Training rows.
        mean: Mean of each channel of the images, or of each column of `numbers` over its valid
            values, in the source's unit.
        std: Standard deviation of each; 0 where there is no value.
        vocabularies: Texts of each text field, sorted; fields of more than 1,000 texts are left
            out.
        target_mean: Mean of the target.
        target_std: Standard deviation of the target.
        class_counts: Training rows of each class, by name.
        class_weights: Weight of each class, in the order of the labels, that evens out how often it
            occurs: rows / (classes * rows of the class); 0 for a class without rows.
        dropped: Rows dropped from all splits, by reason.
        entities: Of series whose texts hold the entity, what was measured of each one's numbers.
        label_conflicts: Rows whose label is not that of the first row that they equal. Where equal
            rows stay, only those that pass one shuffles together are compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    vocabularies: dict[str, tuple[str, ...]] = Field(default={})
    target_mean: float | None = None
    target_std: float | None = None
    class_counts: dict[str, int] = Field(default={})
    class_weights: tuple[float, ...] = ()
    dropped: dict[str, int]
    label_conflicts: int = 0
    entities: dict[str, EntityFitted] = Field(default={})

    @model_serializer(mode="wrap")
    def _leave_out_entities(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing: the versions of older recipes keep their digests."""
        first = type(self).model_fields.keys() - {"entities"}
        return leave_out_defaults(self, handler(self), first)


def fit_statistics(
    figures: Sequence[Measured],
    labels: Sequence[str],
    dropped: Mapping[str, int],
    label_conflicts: int,
) -> Fitted:
    """Merges the figures of all training shards, in their order."""
    rows = sum(figure.rows for figure in figures)
    moments, target = Moments(), Moments()
    for figure in figures:
        moments, target = moments.merge(figure.moments), target.merge(figure.target)
    found = [sum(figure.class_counts[label] for figure in figures) for label in range(len(labels))]
    return Fitted(
        rows=rows,
        mean=moments.mean,
        std=moments.std,
        vocabularies=_merge_texts(figures),
        target_mean=target.mean[0] if target.mean else None,
        target_std=target.std[0] if target.std else None,
        class_counts=dict(zip(labels, found, strict=True)),
        class_weights=tuple(rows / (len(labels) * count) if count else 0.0 for count in found),
        dropped=dict(dropped),
        label_conflicts=label_conflicts,
        entities={
            name: _describe_entity(moments)
            for name, moments in merge_entities(figure.entities for figure in figures).items()
        },
    )


def _describe_entity(moments: Moments) -> EntityFitted:
    counted = list(zip(moments.count, moments.mean, moments.std, strict=True))
    return EntityFitted(
        mean=tuple(mean if count else None for count, mean, _ in counted),
        std=tuple(std if count else None for count, _, std in counted),
    )


def _merge_texts(figures: Sequence[Measured]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, set[str] | None] = {}
    for figure in figures:
        for name, texts in figure.texts.items():
            known = merged.setdefault(name, set())
            merged[name] = None if known is None or texts is None else known | set(texts)
    return {
        name: tuple(sorted(texts))
        for name, texts in merged.items()
        if texts is not None and len(texts) <= MOST_TEXTS
    }
