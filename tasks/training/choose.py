"""Choose: the networks that suit the rows race on a Dask cluster, and one of them is trained."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from distributed import Client, Future, as_completed

from lightning_modules.specs.entrants import Entrant, list_entrants
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import Bounds, Measured, Survey
from storage.base.errors import StorageError
from storage.base.redaction import redact
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.records.receipts import StartRecord
from tasks.data.open_versions import open_version
from tasks.forms.describe import describe_sample
from tasks.forms.streams import TRAIN, VALIDATION, SampleRows
from tasks.objectives.registry import find_objective
from tasks.runtime.errors import StageStopped
from tasks.runtime.outcomes import Prepared
from tasks.runtime.progress import current_progress
from tasks.runtime.race_outcome import Chosen, Trial
from tasks.runtime.stage import stage
from tasks.training.heat import Begun, Heat, read_network, run_heat, survey_heat
from tasks.training.race import (
    MOST_CROSSED_ROWS,
    MOST_NUMBERS,
    Field,
    Race,
    choose_budget,
)
from tasks.training.train import hide_url, refer_data

FOLDER = "race"
MOST_REASON = 300


@stage
def choose(
    workspace: str,
    prepared: Prepared,
    objective: str,
    data: RowsSpec,
    model: ModelSpec,
    spec: TrainSpec,
    directory: str,
    scheduler: str,
    start: StartRecord | None = None,
) -> Chosen:
    """Lets networks race on the validation rows; nothing looks at the held-out ones.

    Where training starts from the weights of a model, its network is the only one that takes them.

    Args:
        workspace: Folder or URL of the workspace.
        prepared: The splits.
        objective: What is asked of the rows, as `classes`.
        data: What a row is.
        model: Head and window; its family is `auto`.
        spec: How to train.
        directory: Local folder of the run: each finished trial is kept there, so that a run that
            goes on repeats none.
        scheduler: Address of the Dask scheduler.
        start: Weights to start from; None draws them.

    Raises:
        StageStopped: Every trial failed; the reasons say why.
    """
    version = open_version(Store(workspace), prepared.dataset)
    sample = describe_sample(objective, data, model, prepared.fitted, version)
    spec = hide_url(spec)
    entrants = list_entrants(sample.form, objective, model, spec)
    heat = Heat(data=refer_data(workspace, prepared), sample=sample, start=start)
    rows = count_samples(version, sample, spec)
    numbers = _count_numbers(sample.shape)
    crossed = 0 if start is not None else count_crossed(prepared, data, sample, numbers)
    budget_s = choose_budget(rows, numbers, spec.budget_minutes, crossed=bool(crossed))
    batches = max(1, rows // spec.batch_size)
    field = Field(batches, spec.batch_size, numbers, spec.max_epochs, budget_s, crossed)
    with Client(scheduler) as client:
        office = Office(client, Store(directory).child(FOLDER), heat)
        if (known := office.find_known(entrants, model, spec)) is not None:
            return Chosen(name=known.name, model=known.model, train=known.train)
        race = Race(field, office.run)
        winner = race.decide(entrants, office.survey(entrants))
    if winner is None:
        reasons = tuple(f"{each.name}: {each.came_to}" for each in race.begun)
        raise StageStopped("choose", reasons or ("no family of networks suits these rows",))
    describe = partial(_describe, sample=sample, standard=model.figures_in == "standard")
    return Chosen(
        name=winner.name,
        model=winner.model,
        train=winner.train,
        trials=tuple(describe(begun) for begun in race.begun),
        budget_s=budget_s,
    )


def count_samples(version: Version, sample: Sample, spec: TrainSpec) -> int:
    """Return how many samples an epoch has: rows, or windows, of which each holds many rows.

    Args:
        version: The prepared rows.
        sample: What a sample is.
        spec: How to train.
    """
    if sample.window is None:
        return version.splits[TRAIN]
    batches = len(SampleRows(version, sample).open_training(spec))
    return batches * (spec.batch_size // spec.accumulate)


def count_crossed(prepared: Prepared, data: RowsSpec, sample: Sample, numbers: int) -> int:
    """Return how many rows may be dealt to folds; 0 where they are many, or not alike.

    Rows of a group or of a time are alike, and windows share rows: none may be on two sides.

    Args:
        prepared: The splits.
        data: What a row is.
        sample: What a sample is.
        numbers: Numbers of a sample.
    """
    counts = prepared.dataset.rows
    rows = counts[TRAIN] + counts[VALIDATION]
    apart = data.split.by != "hash" or sample.window is not None
    unasked = find_objective(sample).spec.find_truth(sample) is None
    restores = find_objective(sample).spec.restores
    if apart or unasked or restores or not counts[VALIDATION]:
        return 0
    return rows if rows <= MOST_CROSSED_ROWS and rows * numbers <= MOST_NUMBERS else 0


def _count_numbers(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _describe(begun: Begun, sample: Any, *, standard: bool) -> Trial:
    """Return the record of a trial."""
    came_to = begun.came_to
    if isinstance(came_to, str):
        return Trial(name=begun.name, round=begun.round, reason=came_to)
    value = came_to.value if came_to.value == came_to.value else None
    figure = find_objective(sample).describe_figure(
        came_to.name, value, sample, split=VALIDATION, standard=standard
    )
    return Trial(
        name=begun.name,
        round=begun.round,
        figure=figure,
        steps=came_to.steps,
        cpu_s=round(came_to.cpu_s, 2),
    )


class Office:
    """Has trials carried out side by side, and keeps each that was finished.

    Args:
        client: Of the Dask cluster.
        kept: Where finished trials are kept.
        heat: What is raced on.
    """

    def __init__(self, client: Client, kept: Store, heat: Heat) -> None:
        self._client = client
        self._kept = kept
        self._heat = heat

    def find_known(
        self, entrants: Sequence[Entrant], model: ModelSpec, spec: TrainSpec
    ) -> Entrant | None:
        """Return the network of the model whose weights are started from: no other takes them.

        Args:
            entrants: Who would take part in a race, with the ways in which they learn.
            model: The recipe's.
            spec: How the recipe says that networks learn.
        """
        found: ModelSpec | None = None
        if self._heat.start is not None and self._heat.start.model is not None:
            found = self._client.submit(read_network, self._heat, pure=False).result()
        if found is None:
            return None
        own = model.model_copy(update={"head": found.head, "network": found.network})
        alike = (each for each in entrants if each.model == own)
        return next(alike, Entrant(name=found.network.family, model=own, train=spec))

    def survey(self, entrants: Sequence[Entrant]) -> list[Survey | str]:
        """Return what each network would cost, or why it cannot be built."""
        found: list[Survey | str] = [""] * len(entrants)
        calls = {n: partial(survey_heat, self._heat, each) for n, each in enumerate(entrants)}
        self._carry_out(calls, found.__setitem__)
        return found

    def run(self, trials: Sequence[tuple[Entrant, Bounds]]) -> list[Measured | str]:
        """Return what each trial came to, or why it failed; one that is kept is not repeated."""
        found: list[Measured | str] = [""] * len(trials)
        calls: dict[int, Callable[[], Any]] = {}
        for number, (entrant, bounds) in enumerate(trials):
            if (kept := self._recall(self._heat.name(entrant, bounds))) is not None:
                found[number] = kept
            else:
                calls[number] = partial(run_heat, self._heat, entrant, bounds)

        def take(number: int, came_to: Measured | str) -> None:
            found[number] = came_to
            if isinstance(came_to, Measured):
                name = self._heat.name(*trials[number])
                self._kept.write(f"{name}.json", json.dumps(asdict(came_to)).encode())
            done = sum(bool(each) for each in found)
            current_progress().advance("choose", done, len(trials), trials[number][0].name)

        self._carry_out(calls, take)
        return found

    def _recall(self, name: str) -> Measured | None:
        with suppress(StorageError, ValueError, TypeError):
            return Measured(**json.loads(self._kept.read(f"{name}.json")))
        return None

    def _carry_out(
        self, calls: Mapping[int, Callable[[], Any]], take: Callable[[int, Any], None]
    ) -> None:
        """Have calls made on workers, and take what each comes to, or why it failed, as it does."""
        futures = {
            self._client.submit(_call, call, pure=False, retries=1): number
            for number, call in calls.items()
        }
        try:
            for future in as_completed(list(futures)):
                take(futures[future], _read(future))
        finally:
            self._client.cancel([each for each in futures if not each.done()], force=True)


def _call(call: Callable[[], Any]) -> Any:
    """Make a call on a worker; a fault of the trial is an answer, and is not tried again."""
    from lightning_modules.errors import ModelError

    try:
        return call()
    except (ModelError, StorageError) as error:
        return redact(str(error))[:MOST_REASON]


def _read(future: Future) -> Any:
    """Return what a trial came to, or why it failed: its worker may have died of it."""
    error = future.exception()
    return future.result() if error is None else redact(f"{type(error).__name__}: {error}")[:300]
