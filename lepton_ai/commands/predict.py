"""`lepton predict`: what a device runs."""

import logging
import sys
from typing import Annotated

import typer

from deployments.targets.errors import BadInput
from deployments.targets.run.live import Runtime
from deployments.targets.run.predict import answer_files
from deployments.targets.run.predictions import Prediction
from lepton_ai.commands.answering import warn_refused
from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_FAILED,
    AsJson,
    Workspace,
    say,
    translate_errors,
)


@translate_errors
def predict(
    channel: Annotated[
        str, typer.Argument(help="Channel in the workspace (edge, cloud), or the address of one.")
    ],
    files: Annotated[
        list[str],
        typer.Argument(help="Pictures, CSV files of rows, or .npy files; paths or URLs."),
    ],
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Follow a channel, verify what it offers, and answer for files.

    A channel that was tampered with or rolled back is refused; the model that was verified last
    still answers. A file that cannot be read is named, the others are answered, and the exit status
    is 1.
    """
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
