"""Defines the `lepton` command.

Messages go to standard error; standard output holds only what was asked for.
"""

import typer

from lepton_ai.commands import (
    approve,
    channel,
    check,
    datasets,
    devices,
    edge,
    export,
    feedback,
    fleet,
    gates,
    gc,
    keys,
    measure,
    models,
    new,
    predict,
    quarantine,
    receipts,
    recipes,
    run,
    runs,
    serve,
)

app = typer.Typer(
    name="lepton",
    help="Raw data at any URL to quality-gated, signed models on edge devices and cloud endpoints.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("run")(run.run)
app.add_typer(runs.app, name="runs", help="The runs of a workspace, and one page on all of them.")
app.add_typer(recipes.app, name="recipes", help="The recipes that come with Lepton; show one.")
app.command("predict")(predict.predict)
app.command("serve")(serve.serve)
app.add_typer(
    channel.app,
    name="channel",
    help="Steer a channel: whom a release reaches, rollback, hold, pin, retire; its history.",
)
app.command("export")(export.export)
app.command("manifest")(export.manifest)
app.command("measure")(measure.measure)
app.command("approve")(approve.approve)
app.command("feedback")(feedback.feedback)
app.command("verify")(receipts.verify)
app.command("trace")(receipts.trace)
app.command("gc")(gc.gc)
app.add_typer(
    datasets.app,
    name="datasets",
    help="What is stored, how it came about, and that it still holds.",
)
app.add_typer(
    models.app,
    name="models",
    help="The models of a workspace: figures side by side, tags, and where each is or was live.",
)
app.add_typer(devices.app, name="devices", help="Which devices may send to a workspace.")
app.add_typer(edge.app, name="edge", help="What runs on a device: answer, keep, send back.")
app.add_typer(
    fleet.app,
    name="fleet",
    help="Real agents on this machine: their answers, what comes back, the next model.",
)
app.add_typer(
    gates.app,
    name="gates",
    help="Judge a version by hand; draft a suite from one that was accepted.",
)
app.add_typer(
    quarantine.app, name="quarantine", help="Rows that a gate has set aside: list, show, release."
)
app.add_typer(keys.app, name="keys", help="Move keys and trusted roots between machines.")


def main() -> None:
    """Runs the command."""
    app()
