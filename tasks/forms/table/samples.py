"""Describes samples of tables and series, and what an artifact takes, and reads their rows."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from lightning_modules.data.readers import CodeBook, RowReader, encode_texts
from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.measure import choose_positive
from lightning_modules.specs.model import HeadSpec, ModelSpec
from lightning_modules.specs.objectives import FUTURE, LABEL, OBJECTIVES
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from storage.base.buckets import name_buckets
from storage.datasets.version import Version
from storage.forms.columns import NUMBERS, TIME, name_field
from storage.forms.table import TableSpec
from storage.forms.time_field import list_time_columns
from storage.pipeline.fitted import EntityFitted, Fitted
from storage.pipeline.splits import TRAIN
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX
from storage.sources.base import SPLITS
from tasks.runtime.errors import StageStopped


def describe_rows(objective: str, data: TableSpec, model: ModelSpec, fitted: Fitted) -> RowSample:
    """Describe a row, or a window of rows; the columns that are forecast come first.

    Raises:
        StageStopped: The training rows lack the texts of a category.
    """
    asks = OBJECTIVES.find(objective).asks
    forecast: tuple[str, ...] = ()
    if model.window is not None and asks == FUTURE:
        forecast = model.window.list_targets(data.numbers)
    known = model.window.known if model.window is not None else ()
    others = [name for name in data.numbers if name not in (*forecast, *known)]
    order = [*forecast, *others, *(name for name in data.numbers if name in known)]
    entities = _list_entities(data, model, fitted)
    return RowSample(
        objective=objective,
        numbers=tuple(_describe_number(name, data, fitted, entities) for name in order),
        categories=tuple(_describe_category(name, data, fitted, model.head) for name in data.texts),
        time=bool(model.head.calendar),
        window=model.window,
        quantiles=model.quantiles,
        forecast=len(forecast),
        classes=len(data.labels) if asks == LABEL else 0,
        class_weights=fitted.class_weights if asks == LABEL else (),
        positive=choose_positive(fitted.class_weights, data.labels, model.positive)
        if asks == LABEL
        else 1,
        labelled=asks is None and data.label is not None,
        target_mean=fitted.target_mean or 0.0,
        target_std=fitted.target_std or 0.0,
    )


def _list_entities(
    data: TableSpec, model: ModelSpec, fitted: Fitted
) -> list[EntityFitted | None] | None:
    """Return the figures of each entity, as its category counts them; None if none are used."""
    if model.head.normalise != "entity" or data.entity is None:
        return None
    names = _describe_category(data.entity, data, fitted, model.head).vocabulary
    return [fitted.entities.get(name) for name in names]


def _describe_number(
    name: str, data: TableSpec, fitted: Fitted, own: Sequence[EntityFitted | None] | None
) -> NumberColumn:
    place = data.numbers.index(name)
    mean, std = fitted.mean[place], fitted.std[place]
    found = NumberColumn(name=name, mean=mean, std=std, date=name in data.dates)
    if own is None:
        return found
    means = [None if entity is None else entity.mean[place] for entity in own]
    stds = [None if entity is None else entity.std[place] for entity in own]
    # Where an entity has no value of a column, those of all rows stand in.
    return found.model_copy(
        update={
            "entity_mean": tuple(mean if each is None else each for each in means),
            "entity_std": tuple(std if each is None else each for each in stds),
        }
    )


def _describe_category(
    name: str, data: TableSpec, fitted: Fitted, head: HeadSpec
) -> CategoryColumn:
    """Describe a column of texts, whose frequencies are still to be counted."""
    buckets = head.hash.get(name)
    texts = _list_vocabulary(name, data, fitted) if buckets is None else name_buckets(buckets)
    return CategoryColumn(
        name=name,
        vocabulary=texts,
        hashed=buckets is not None,
        entity=name == data.entity,
        frequencies=(0.0,) * len(texts) if name in head.frequency else (),
    )


def _list_vocabulary(name: str, data: TableSpec, fitted: Fitted) -> tuple[str, ...]:
    field = name_field(name, data.texts)
    texts = [text for text in fitted.vocabularies.get(field, ()) if text]
    if not texts:
        reason = (
            f"column {name} must hold 1 to 1,000 different texts to be a category; got none or "
            f"more; write model.head.hash: {{{name}: 256}} for any number of them, or take it out "
            "of data.texts"
        )
        raise StageStopped("train", (reason,))
    return tuple(texts)


def count_texts(sample: RowSample, version: Version) -> RowSample:
    """Return a sample that says how often each text occurs, of columns of which that is told.

    What is said of n among N training rows is log(1 + n) / log(1 + N).
    """
    if not any(column.frequencies for column in sample.categories):
        return sample
    counts = [np.zeros(len(column.vocabulary)) for column in sample.categories]
    total = 0
    for _, codes in _iter_codes(version, sample, SPLITS[TRAIN]):
        total += len(codes)
        for place, found in enumerate(counts):
            known = codes[~np.isnan(codes[:, place]), place].astype(np.int64)
            found += np.bincount(known, minlength=len(found))
    often = [np.log1p(found) / np.log1p(max(1, total)) for found in counts]
    categories = tuple(
        column.model_copy(update={"frequencies": tuple(share.tolist())})
        if column.frequencies
        else column
        for column, share in zip(sample.categories, often, strict=True)
    )
    return sample.model_copy(update={"categories": categories})


def describe_columns(sample: RowSample, data: TableSpec) -> InputSpec:
    """Describe the columns of a row, or of the rows of a window, that an artifact takes."""
    columns = [
        ColumnSpec(
            name=column.name,
            is_time=column.date,
            time_format=data.date_format if column.date else None,
        )
        for column in sample.numbers
    ]
    columns += [
        ColumnSpec(name=column.name, vocabulary=column.vocabulary, hashed=column.hashed)
        for column in sample.categories
    ]
    if sample.time:
        columns.append(describe_time(data) or ColumnSpec(name=TIME, is_time=True))
    return InputSpec(
        form=data.kind,
        name=FORMS.find(sample.form).input_name,
        dtype="float64",
        shape=sample.shape,
        columns=tuple(columns),
        missing=data.missing,
    )


def describe_time(data: TableSpec) -> ColumnSpec | None:
    """Describe the time of files; None where no column of theirs tells it."""
    columns = list_time_columns(data.time)
    if not columns or data.time_name is None:
        return None
    style = data.time_style
    return ColumnSpec(
        name=data.time_name,
        is_time=True,
        time_format=style.format,
        time_zone=style.zone,
        time_step_ns=style.step_ns,
        time_start_ns=style.start_ns,
        parts=columns if len(columns) > 1 else (),
    )


def open_reader(version: Version, sample: RowSample) -> RowReader:
    """Open what reads rows, or windows of rows, of a version's streams."""
    stored = {field.name: field.columns or () for field in version.fields}
    return RowReader(sample, tuple(stored.get(NUMBERS, ())), _read_codes(version, sample))


def _read_codes(version: Version, sample: RowSample) -> CodeBook | None:
    """Read all rows' texts as places in vocabularies: 8 bytes a row and column in memory."""
    if not sample.categories:
        return None
    ids, codes = zip(*_iter_codes(version, sample), strict=True)
    row_id = np.concatenate(ids)
    order = np.argsort(row_id)
    return CodeBook(row_id[order], np.concatenate(codes)[order])


def _iter_codes(
    version: Version, sample: RowSample, split: str | None = None
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float64]]]:
    """Yield ids and places in vocabularies, (N, columns), of the rows of each shard."""
    texts = [column.name for column in sample.categories]
    names = [(name_field(column.name, texts), column) for column in sample.categories]
    known = {field.name for field in version.fields}
    wanted = [field for name, _ in names for field in (name, name + VALID_SUFFIX) if field in known]
    for entry in version.iter_shards(split):
        rows = version.read_shard(entry, (ROW_ID, *wanted))
        encoded = [
            encode_texts(rows[name], rows.get(name + VALID_SUFFIX), column)
            for name, column in names
        ]
        yield rows[ROW_ID], np.stack(encoded, axis=1)
