"""`lepton predict`: what a device runs; with `--dataset`, all rows of a data set."""

import logging
import sys
from typing import Annotated, Literal

import typer

from deployments.targets.errors import BadInput
from deployments.targets.run.live import Runtime
from deployments.targets.run.predict import answer_files
from deployments.targets.run.predictions import Prediction
from lepton_ai.commands.answering import warn_refused
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Workspace,
    fail,
    say,
    translate_errors,
)

Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME[@V] | URL",
        help="Answer all rows of a data set, or of files such as the model's recipe reads.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="URL", help="Of a data set: the folder for the answers."),
]
ChannelOption = Annotated[
    str | None,
    typer.Option(
        "--channel", help="Of a data set: who answers; default: the only channel, or cloud."
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Of a data set: the id of the model that answers instead."),
]
Form = Annotated[
    Literal["parquet", "csv", "shards"] | None,
    typer.Option("--format", help="Of a data set: how the answers are written; default: parquet."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Of a data set: a limit over the recipe's."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="Of a data set: a Dask scheduler; default: a local one."),
]

_WITH_DATASET = (
    "--out, --channel, --model, --format, --set and --scheduler must go with --dataset; got none; "
    "name the rows, or write: lepton predict CHANNEL FILE"
)
_WITH_OUT = (
    "--dataset must go with --out and one channel, and without files; got otherwise; write: lepton "
    "predict --dataset NAME --out URL --channel CHANNEL"
)


@translate_errors
def predict(
    channel: Annotated[
        str | None,
        typer.Argument(help="Channel in the workspace (edge, cloud), or the address of one."),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures, CSV files of rows, or .npy files; paths or URLs."),
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
    dataset: Dataset = None,
    out: Out = None,
    named_channel: ChannelOption = None,
    model: Model = None,
    format: Form = None,
    settings: Settings = None,
    scheduler: Scheduler = None,
) -> None:
    """Follow a channel, verify what it offers, and answer for files, or for a whole data set.

    A channel that was tampered with or rolled back is refused; the model that was verified last
    still answers. A file that cannot be read is named, the others are answered, and the exit status
    is 1. A data set is answered by a channel that is trusted as it stands: gated, as a whole, or
    not at all (exit status 3); killed, the same call goes on.
    """
    if dataset is None:
        if out or named_channel or model or format or settings or scheduler:
            raise fail(_WITH_DATASET, EXIT_USAGE)
        if channel is None or not files:
            raise fail("predict must get CHANNEL and FILES, or --dataset and --out", EXIT_USAGE)
        _predict_files(channel, files, workspace, as_json)
        return
    if out is None or files or (channel and named_channel):
        raise fail(_WITH_OUT, EXIT_USAGE)
    from lepton_ai.commands.batch import predict_dataset

    channel, given = named_channel or channel, settings or []
    form = format or "parquet"
    predict_dataset(dataset, out, channel, model, workspace, form, given, scheduler, as_json)


def _predict_files(channel: str, files: list[str], workspace: str, as_json: bool) -> None:
    logging.getLogger("deployments").setLevel(logging.ERROR)  # A refusal is said below, once.
    runtime = Runtime(channel, workspace)
    warn_refused(runtime)
    failed = False
    for file in files:
        try:
            for prediction in answer_files(runtime.current, [file]):
                _print(prediction, as_json)
        except BadInput as error:
            failed = True
            say(f"error: {error}", "red")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _print(prediction: Prediction, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(prediction.to_json() + "\n")
        return
    sys.stdout.write(f"{prediction}  {prediction.model_id[:12]}\n")
