"""Checks what the sections of a recipe must have to do with each other, all at once.

What differs between forms and objectives is asked of their rows; nothing here knows one by name.
"""

from collections.abc import Callable, Iterator

from pydantic import ValidationError

from deployments.targets.trust.address import is_channel_name
from flows.errors import RecipeFault
from flows.recipe.components import check_components
from flows.recipe.data_checks import check_data
from flows.recipe.faults import describe_sentence
from flows.recipe.model import Recipe
from gates.raw.forms import FORMS as RAW_FORMS
from lightning_modules.specs.base import is_import_path
from lightning_modules.specs.forms import AUTO, FORMS, SampleForm, check_params, list_augmentations
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.objectives import OBJECTIVES, ObjectiveSpec
from storage.base.pictures import BLACK
from storage.forms.time_field import is_counted_by_rows

DEFAULT_HEAD = HeadSpec()
NETWORK = "model.network.family"


def check_recipe(recipe: Recipe) -> list[RecipeFault]:
    """Return every fault between sections that are sound by themselves."""
    form, objective = FORMS.find(recipe.data.kind), OBJECTIVES.find(recipe.objective)
    return [
        *_check_targets(recipe),
        *_check_family(recipe, form, objective),
        *_ask("data", lambda: objective.check_data(recipe.data.labels, recipe.data.target)),
        *_ask(
            "model",
            lambda: objective.check_positive(recipe.model.positive, recipe.data.labels),
        ),
        *_ask(
            "model",
            lambda: objective.check_quantiles(recipe.model.quantiles, recipe.train.loss.name),
        ),
        *_ask(
            "model",
            lambda: objective.check_threshold(recipe.model.threshold, recipe.data.labels),
        ),
        *_check_background(recipe),
        *_check_split(recipe),
        *check_data(recipe.data),
        *_check_window(recipe, form, objective),
        *_check_head(recipe, form),
        *_check_calendar(recipe),
        *_check_entity_scale(recipe),
        *_check_pairs(recipe),
        *_check_hashes(recipe),
        *_check_training(recipe, objective),
        *_check_augmentation(recipe, form),
        *_check_quarantines(recipe),
        *check_components(recipe),
    ]


def _ask(section: str, check: Callable[[], None]) -> Iterator[RecipeFault]:
    """Yields the fault of a section that a row's own check raises."""
    try:
        check()
    except ValueError as error:
        yield describe_sentence(section, str(error))


def _check_targets(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields the channels that prefer what is never made, or name a class that nobody described."""
    made, described = recipe.compress.candidates, recipe.device_classes
    for channel, target in recipe.targets.items():
        if not is_channel_name(channel):
            rule = "be 1 to 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or a digit"
            yield RecipeFault(f"targets.{channel}", repr(channel), rule, "choose another name")
        classes = tuple(described) or target.classes  # Where none is described, any may be named.
        asked = {
            "prefer": (target.prefer, made, "name artifacts that compress makes"),
            "classes": (target.classes, classes, "be described where device_classes has any"),
        }
        places = {"prefer": "compress.candidates", "classes": "device_classes"}
        for key, (names, known, rule) in asked.items():
            if unknown := [name for name in names if name not in known]:
                remedy = f"write one of {', '.join(known)}, or add it to {places[key]}"
                yield RecipeFault(f"targets.{channel}.{key}", ", ".join(unknown), rule, remedy)


def _check_family(
    recipe: Recipe, form: SampleForm, objective: ObjectiveSpec
) -> Iterator[RecipeFault]:
    """Yields a network that is not built for the form of the rows, or for what is asked."""
    known, student = form.families, recipe.compress.student
    named = {NETWORK: recipe.model.network.family}
    named |= {} if student is None else {"compress.student.family": student.family}
    for path, family in named.items():
        if is_import_path(family) or (family == AUTO and path == NETWORK):
            continue
        if family not in known:
            remedy = f"choose one of {', '.join(known)}, or write your own as package.module:Name"
            yield RecipeFault(path, repr(family), f"be a family for {form.name} rows", remedy)
        elif not known[family].suits(objective.name, restores=objective.restores):
            suited = [
                name
                for name, row in known.items()
                if row.suits(objective.name, restores=objective.restores)
            ]
            remedy = f"write family: {' or '.join(suited)}"
            yield RecipeFault(path, repr(family), f"suit kind {recipe.kind}", remedy)


def _check_background(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields a background of images that come as arrays of values, of which none is transparent."""
    image = recipe.data.image
    if image is not None and image.background != BLACK and not recipe.source.has_transparency:
        rule = f"be of pictures that may be transparent; a source of type {recipe.source.type} has "
        rule += "values alone"
        yield RecipeFault("data.image.background", str(list(image.background)), rule, "remove it")


def _check_split(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields a split by what is not in the rows, or one that leaves none to choose by."""
    data, split = recipe.data, recipe.data.split
    if split.by == "time" and split.field is None and data.time is None:
        remedy = "write data.time: its column, or by: hash"
        yield RecipeFault(
            "data.split.by", "'time'", "have a time to go by; the rows have none", remedy
        )
    if split.by == "entity" and data.entity is None:
        remedy = (
            "write data.entity: its column, or by: time"
            if "entity" in type(data).model_fields
            else "write by: hash"
        )
        yield RecipeFault(
            "data.split.by", "'entity'", "have entities to go by; the rows have none", remedy
        )
    if split.by != "source" and not split.validation and split.validation_from is None:
        remedy = "write validation: 0.1"
        yield RecipeFault(
            "data.split.validation", "0", "leave rows on which the best weights are chosen", remedy
        )


def _check_window(
    recipe: Recipe, form: SampleForm, objective: ObjectiveSpec
) -> Iterator[RecipeFault]:
    """Yields a window where rows have none, and one that does not fit rows and network."""
    window = recipe.model.window
    if (window is not None) != form.windowed:
        windowed = " and ".join(row.name for row in FORMS.rows if row.windowed)
        remedy = "add window: {lookback: 96, horizon: 24}" if form.windowed else "remove it"
        got = "absent" if window is None else "given"
        rule = f"be given for {windowed}, and for nothing else"
        yield RecipeFault("model.window", got, rule, remedy)
    if window is None:
        return
    yield from _ask("model.window", lambda: objective.check_window(window))
    unknown = [name for name in window.targets if name not in recipe.data.numbers]
    if unknown:
        remedy = f"choose among {', '.join(recipe.data.numbers)}"
        yield RecipeFault(
            "model.window.targets", ", ".join(unknown), "be columns of data.numbers", remedy
        )
    yield from _check_known(recipe)
    network = recipe.model.network
    try:
        params = check_params(form.name, network.family, network.params)
    except ValidationError:
        return  # Told of already, with their own paths.
    for name in params.steps if params is not None else ():
        if (steps := getattr(params, name)) > window.lookback:
            rule = f"be at most the lookback of {window.lookback} steps"
            remedy = "shorten it, or lengthen the lookback"
            yield RecipeFault(f"model.network.params.{name}", str(steps), rule, remedy)


def _check_known(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields columns that cannot be known of steps to come, and heads that know nothing of them."""
    window, head, data = recipe.model.window, recipe.model.head, recipe.data
    if window is None or not window.known:
        return
    path, given = "model.window.known", ", ".join(window.known)
    columns = (*data.numbers, *data.texts, *filter(None, [data.time_name]))
    if unknown := [name for name in window.known if name not in columns]:
        remedy = f"choose among {', '.join(columns)}"
        rule = "be columns of data.numbers or data.texts, or that of the time"
        yield RecipeFault(path, ", ".join(unknown), rule, remedy)
    if not window.list_targets(data.numbers):
        yield RecipeFault(path, given, "leave columns to forecast", "take one out")
    if data.time_name in window.known and not head.calendar:
        remedy = "write model.head.calendar: [day, week]"
        yield RecipeFault(path, given, "hold the time only for a calendar", remedy)
    if head.name != DEFAULT_HEAD.name or head.denoise is not None:
        rule = "go with the standard head, without denoise"
        yield RecipeFault(path, given, rule, "remove model.head.name or denoise, or known")


def _check_head(recipe: Recipe, form: SampleForm) -> Iterator[RecipeFault]:
    """Yields settings of the head that the form of the rows knows nothing of."""
    for name in HeadSpec.model_fields:
        value = getattr(recipe.model.head, name)
        if name == "params" or value == getattr(DEFAULT_HEAD, name):
            continue
        suited = [row.name for row in FORMS.rows if _suits(row, name, value)]
        if form.name not in suited:
            rule = f"be for {' and '.join(suited)} rows"
            yield RecipeFault(f"model.head.{name}", repr(value), rule, "remove it")


def _check_calendar(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields a calendar of times that no file tells: a model could not be asked with one."""
    if recipe.model.head.calendar and is_counted_by_rows(recipe.data.time):
        rule = "be of times that files tell; data.time counts rows"
        remedy = "remove it, or name the column of the time"
        yield RecipeFault("model.head.calendar", repr(recipe.model.head.calendar), rule, remedy)


def _check_entity_scale(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields numbers that are to be normalised by entities which the rows do not name."""
    head, data = recipe.model.head, recipe.data
    if head.normalise != "entity":
        return
    path = "model.head.normalise"
    if data.entity is None or data.entity not in data.texts:
        name = data.entity or "shop"
        remedy = f"write data.entity: {name} and data.texts: [{name}]"
        yield RecipeFault(path, "'entity'", "have an entity among data.texts", remedy)
    if data.entity in head.hash:
        rule = "be of entities that are told apart, not hashed"
        yield RecipeFault(path, "'entity'", rule, f"take {data.entity} out of model.head.hash")
    if head.name != DEFAULT_HEAD.name:
        yield RecipeFault(path, "'entity'", "go with the standard head", "remove model.head.name")


def _suits(form: SampleForm, setting: str, value: object) -> bool:
    if setting == "normalise":
        return value in form.normalisations
    return setting in form.head_settings


def _check_pairs(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields pairs of columns that are no columns, or whose difference is always 0."""
    head, known = recipe.model.head, recipe.data.numbers
    for name, pairs in {"products": head.products, "differences": head.differences}.items():
        for place, pair in enumerate(pairs):
            path = f"model.head.{name}.{place}"
            unknown = [column for column in pair if column not in known]
            if unknown:
                remedy = f"choose among {', '.join(known) or 'none; name some there'}"
                yield RecipeFault(path, ", ".join(unknown), "be columns of data.numbers", remedy)
            elif name == "differences" and len(set(pair)) == 1:
                rule = "be of two columns: it is 0 everywhere else"
                yield RecipeFault(path, " - ".join(pair), rule, "name another column")


def _check_hashes(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields columns to be hashed, or counted, that are no columns of texts."""
    known, head = recipe.data.texts, recipe.model.head
    for key, names in (("hash", head.hash), ("frequency", head.frequency)):
        for name in names:
            if name not in known:
                remedy = f"choose among {', '.join(known) or 'none; name some there'}"
                yield RecipeFault(f"model.head.{key}", name, "name columns of data.texts", remedy)


def _check_training(recipe: Recipe, objective: ObjectiveSpec) -> Iterator[RecipeFault]:
    """Yields a loss or a metric that does not suit what is learned."""
    train, labels, rule = recipe.train, recipe.data.labels, f"suit kind {recipe.kind}"
    others = {name for row in OBJECTIVES.rows for name in row.losses} - set(objective.losses)
    if train.loss.name in others:
        remedy = f"choose one of {', '.join(objective.losses)}"
        yield RecipeFault("train.loss.name", repr(train.loss.name), rule, remedy)
    metrics = ("loss", "last", *objective.list_metrics(len(labels), labelled=bool(labels)))
    chosen = train.select_by
    if chosen is not None and chosen not in metrics and not is_import_path(chosen):
        remedy = f"choose one of {', '.join(metrics)}"
        yield RecipeFault("train.select_by", repr(chosen), rule, remedy)


def _check_augmentation(recipe: Recipe, form: SampleForm) -> Iterator[RecipeFault]:
    """Yields an augmentation of rows of another form."""
    name = recipe.train.augmentation.name
    if name in list_augmentations() and name not in form.augmentations:
        remedy = f"write {' or '.join(form.augmentations)}, or leave it out"
        yield RecipeFault("train.augmentation.name", repr(name), f"suit {form.name} rows", remedy)


def _check_quarantines(recipe: Recipe) -> Iterator[RecipeFault]:
    """Yields checks that are to set rows aside, but are not about rows of this form."""
    form = recipe.data.kind
    raw = RAW_FORMS.find(form)
    if wrong := raw.list_wrong_quarantines(recipe.gates.raw.on_fail):
        rule = f"name checks that are about {form} rows where they quarantine"
        remedy = f"write one of: {'; '.join(raw.row_checks)}"
        yield RecipeFault("gates.raw.on_fail", ", ".join(wrong), rule, remedy)
