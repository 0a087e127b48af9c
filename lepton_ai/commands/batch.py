"""`lepton predict --dataset`: all rows of a data set or of files are answered, gated, published."""

from typing import TYPE_CHECKING, Any

import typer

from lepton_ai.commands.common import (
    EXIT_STOPPED,
    EXIT_USAGE,
    answer,
    fail,
    on_platform,
    say,
    stderr,
)
from lepton_ai.commands.interrupts import Interrupts
from lepton_ai.console import ConsoleProgress

if TYPE_CHECKING:
    from tasks.batch.record import BatchRecord


@on_platform("predict --dataset")
def predict_dataset(
    dataset: str,
    out: str,
    channel: str | None,
    model: str | None,
    workspace: str,
    format: Any,
    settings: list[str],
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Answer all rows of a data set or of files, and say what came of it.

    Raises:
        Exit: 3, a gate stopped it; 2, a wrong setting; 1, anything else.
    """
    from lepton_ai.commands.run import parse_settings, quiet_libraries, translate_stops

    overrides = parse_settings(settings, example="gates.batch.max_noted_fraction=0.1")
    quiet_libraries()
    import gates.engine.runner  # noqa: F401  # Great Expectations takes seconds to import
    from flows.batch import predict_batch
    from flows.errors import BatchStopped, RecipeError

    interrupts = Interrupts()
    console = ConsoleProgress(stderr, interrupts.check)
    with translate_stops(console), interrupts:
        try:
            record = predict_batch(
                dataset, out, channel, model, workspace, format, overrides, scheduler
            )
        except RecipeError as error:
            raise fail(str(error), EXIT_USAGE) from error
        except BatchStopped as stopped:
            record = stopped.record
    _say_outcome(record)
    answer(record.model_dump(mode="json"), record.status, as_json)
    if not record.is_published:
        raise typer.Exit(EXIT_STOPPED)


def _say_outcome(record: "BatchRecord") -> None:
    if not record.is_published:
        say(f"stopped at {record.stopped_at}: nothing was published", "bold red")
        for reason in record.reasons:
            say(f"  {reason}")
        say("  limits   gates.batch and gates.drift of the recipe; --set puts others over them")
        return
    say(
        f"published  {record.answered:,} answers of model {record.model_id[:12]} to {record.out}",
        "bold green",
    )
    say(f"  rows     {record.rows:,} of {record.asked.ref}; {record.noted:,} answers with a note")
    say(f"  answers  {record.answers.ref if record.answers else ''}")
