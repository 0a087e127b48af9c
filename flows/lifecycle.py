"""Carries out the lifecycle of a model: raw data in, gated and signed releases out.

Read this file first.
"""

from typing import Any

from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.run.flow import Flow
from flows.run.journal_page import JOURNAL
from flows.run.lost import recall_recipe
from flows.run.prefect_flow import lepton_flow
from flows.run.run import open_run
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from storage.records.receipts import Receipt
from tasks.data.collect import collect
from tasks.data.prepare import prepare
from tasks.gates.artifact import gate_artifact
from tasks.gates.model import gate_model
from tasks.gates.prepared import gate_prepared
from tasks.gates.raw import gate_raw
from tasks.release.approve import approve, list_asking
from tasks.release.compress import compress
from tasks.release.promote import promote
from tasks.runtime.cluster import carry_parts, open_cluster
from tasks.training.choose import choose
from tasks.training.evaluate import evaluate
from tasks.training.launch import open_trainer
from tasks.training.nodes import check_nodes
from tasks.training.start import find_start
from tasks.training.train import train

REQUIRED = ("raw", "prepared", "model", "artifact")
_DATA = (collect, gate_raw, prepare, gate_prepared)
_MODEL = (train, evaluate, gate_model, compress, gate_artifact)


def declare(recipe: Recipe | None = None) -> Flow:
    """Declares the flow of a recipe: with a race or a person where it asks for one."""
    race = (choose,) if recipe is not None and recipe.is_raced else ()
    person = (approve,) if recipe is not None and list_asking(recipe.targets) else ()
    stages = (*_DATA, *race, *_MODEL, *person, promote)
    return Flow(name="lifecycle", stages=stages, required_gates=REQUIRED)


FLOW = declare()


@lepton_flow
def lifecycle(
    recipe: str | Recipe = "digits",
    workspace: str = "./workspace",
    overrides: dict[str, Any] | None = None,
    scheduler: str | None = None,
    resume: str | None = None,
) -> Receipt:
    """Turns raw data into a gated, signed model on its channels.

    Args:
        recipe: Name of a recipe that comes with Lepton, path to a YAML file, or a whole recipe.
        workspace: Folder or fsspec URL that holds everything a project makes.
        overrides: Values put over the recipe's, by dotted path, as in `{"train.max_epochs": 3}`.
        scheduler: Address of a running Dask scheduler; by default a local cluster for this run.
        resume: Id of a run that was lost in this workspace and goes on with its own recipe, instead
            of a new one.

    Returns:
        The signed receipt of a promoted run.

    Raises:
        RecipeError: The recipe is wrong; nothing was started.
        ClusterError: There are fewer nodes to train on than the recipe asks for; nothing was
            started.
        StartError: There are no such weights to start from; nothing was started.
        ResumeError: The run that was lost cannot go on.
        GateStopped: A gate stopped the run; carries the receipt. The flow's state is then Failed,
            named Stopped.
    """
    r = load_recipe(recipe, overrides) if resume is None else recall_recipe(workspace, resume)
    check_nodes(r.train.nodes, scheduler)
    start = find_start(workspace, r.train.start_from)
    r = r.pin_start(start)
    with (
        open_run(declare(r), r, workspace, resume) as run,
        open_trainer(run.directory, r.train.devices, worth=JOURNAL) as trainer,
    ):
        url, data, to = run.url, r.data, tuple(r.targets)
        with open_cluster(scheduler) as dask:
            carry_parts(scheduler, r.parts)
            raw = run.do(collect, url, r.name, r.source, data, dask)
            run.do(gate_raw, url, raw, data, r.gates, dask)
            prepared = run.do(prepare, url, r.name, raw, data, dask)
            asked = (start, r.objective, r.model.window)
            run.do(gate_prepared, url, raw, prepared, data, r.gates.prepared, *asked)
            learned = (url, prepared, r.objective, data)
            how: tuple[ModelSpec, TrainSpec] = (r.model, r.train)
            if r.is_raced:
                chosen = run.do(choose, *learned, *how, str(run.directory), dask, start)
                how = (chosen.model, chosen.train)
        trained = run.do(train, *learned, *how, to, trainer, scheduler, start)
        evaluated = run.do(evaluate, url, raw, prepared, trained, r.digest, data, to)
        run.do(gate_model, url, prepared, evaluated, data, r.objective, r.gates.model)
        wanted = (r.compress, r.targets, r.gates.artifact)
        asked_as = (trainer, r.source.file_style, how[1])
        held = (url, prepared, trained, evaluated, data, *wanted, *asked_as, r.gates.model)
        compressed = run.do(compress, *held, r.device_classes)
        told = (r.gates.artifact, r.targets, r.device_classes)
        run.do(gate_artifact, url, evaluated, compressed, *told)
        if list_asking(r.targets):
            run.do(approve, url, run.draft(), r.targets, run.show_page())
        run.do(promote, url, run.draft(), compressed, r.name, r.kind, r.targets)
    receipt: Receipt = run.outcome()
    return receipt
