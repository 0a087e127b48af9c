"""Train: Lightning in a process of its own, told what to do by a job and watched."""

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from storage.base.store import Store, redact
from storage.forms.base import RowsSpec
from storage.records.receipts import StartRecord
from tasks.data.open_versions import open_version
from tasks.forms.describe import describe_sample
from tasks.forms.streams import HELD_OUT, VALIDATION
from tasks.objectives.registry import find_objective
from tasks.runtime.model_outcomes import Trained
from tasks.runtime.outcomes import Prepared
from tasks.runtime.stage import resuming_stage
from tasks.training.champions import open_champions
from tasks.training.describe_fit import FitDescriber
from tasks.training.job import DataRef, Fit, Predict, TrainJob
from tasks.training.launch import Trainer
from tasks.training.lost_batch import keep_lost_batches
from tasks.training.nodes import call_nodes
from tasks.training.shown import ShownTraining


@resuming_stage
def train(
    workspace: str,
    prepared: Prepared,
    objective: str,
    data: RowsSpec,
    model: ModelSpec,
    spec: TrainSpec,
    channels: tuple[str, ...],
    trainer: Trainer,
    scheduler: str | None = None,
    start: StartRecord | None = None,
) -> Trained:
    """Fits the network on the training split; the best weights on the validation split are kept.

    When they are chosen, the same process answers the validation and the held-out rows, once:
    starting another one would cost seconds. Nothing looks at the held-out answers before evaluate.

    Args:
        workspace: Folder or URL of the workspace.
        prepared: The splits.
        objective: What is asked of the rows, as `classes`.
        data: What a row is.
        model: Head and network.
        spec: How to train.
        channels: Where it is to be promoted to; what could not be compared there is not trained.
        trainer: The training process; the checkpoint and the metric log lie in its folder.
        scheduler: Address of the Dask scheduler that other nodes work for, if several train.
        start: Weights to start from; None draws them.

    Raises:
        ClusterError: There are fewer nodes than asked for.
        WorkerFailed: The process failed, was killed or ran out of time.
        StageStopped: A channel carries a model of other samples.
    """
    version = open_version(Store(workspace), prepared.dataset)
    sample = describe_sample(objective, data, model, prepared.fitted, version)
    for _ in open_champions(Store(workspace), channels, sample, data, stage="train"):
        pass  # Opening them is all.
    held_out = Predict(split=HELD_OUT, baselines=True)
    fit = Fit(model=model, train=hide_url(spec), sample=sample, start=start)
    job = TrainJob(
        directory=str(trainer.directory),
        data=refer_data(workspace, prepared),
        steps=(fit, Predict(split=VALIDATION), held_out),
        devices=spec.devices,
    )
    shown = ShownTraining(spec.max_epochs, find_objective(sample).spec.watched)
    with (
        keep_lost_batches(Store(workspace), trainer.directory),
        call_nodes(spec.nodes, scheduler, job, timeout_s=spec.timeout_s) as group,
    ):
        result = trainer.run(
            job,
            timeout_s=spec.timeout_s,
            on_metrics=shown.show,
            group=group,
        )
    describer = FitDescriber(trainer.directory, sample, standard=model.figures_in == "standard")
    return describer.describe(result, start)


def hide_url(spec: TrainSpec) -> TrainSpec:
    """Return a spec without the secrets of the address that weights were found at.

    The training process reads the weights that were found, and needs no address.
    """
    if spec.start_from is None or spec.start_from.url is None:
        return spec
    hidden = spec.start_from.model_copy(update={"url": redact(spec.start_from.url)})
    return spec.model_copy(update={"start_from": hidden})


def refer_data(workspace: str, prepared: Prepared) -> DataRef:
    """Return where the training process finds the rows."""
    store = Store(workspace)
    return DataRef(
        workspace=store.url, dataset=prepared.dataset.name, version=prepared.dataset.number
    )
