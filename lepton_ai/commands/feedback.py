"""`lepton feedback`: what came back is collected, judged and decided on."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_STOPPED,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    say,
    stderr,
)
from lepton_ai.commands.interrupts import Interrupts
from lepton_ai.commands.run import (
    Scheduler,
    Settings,
    parse_settings,
    quiet_libraries,
    translate_stops,
)
from lepton_ai.console import ConsoleProgress

if TYPE_CHECKING:
    from flows.feedback import FeedbackOutcome

STYLES = {"red": "red", "not computed": "yellow", "green": "green"}
Truths = Annotated[
    str | None,
    typer.Option(
        "--truth", metavar="FILE", help="A CSV of answer_id,truth to take in first; path or URL."
    ),
]


@on_platform("feedback")
def feedback(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe (see `lepton recipes`), or path to a YAML file."),
    ],
    workspace: Workspace = DEFAULT_WORKSPACE,
    truth: Truths = None,
    settings: Settings = None,
    as_json: AsJson = False,
    scheduler: Scheduler = None,
) -> None:
    """Collect what came back, judge it, decide; train again and promote if it should.

    Exit status: 0 decided, and promoted where it was to train again; 3 a gate stopped that
    training; 2 bad usage or recipe, 1 anything else.
    """
    overrides = parse_settings(settings or [])
    quiet_libraries()
    _look_ahead(recipe, overrides, truth)
    import gates.engine.runner  # noqa: F401  # Great Expectations takes seconds to import
    from flows.feedback import feedback as flow

    interrupts = Interrupts()
    console = ConsoleProgress(stderr, interrupts.check)
    with translate_stops(console), interrupts:
        outcome = flow(recipe, workspace, overrides, truth, scheduler)
    _say_outcome(outcome)
    fields = outcome.model_dump(mode="json", exclude={"stopped"})
    answer(fields, outcome.decision, as_json)
    if outcome.stopped:
        raise typer.Exit(EXIT_STOPPED)


def _look_ahead(recipe: str, overrides: dict[str, Any], truth: str | None) -> None:
    """Answers a wrong recipe or file of truths at once, before anything slow."""
    from flows.errors import RecipeError
    from flows.recipe.load import load_recipe
    from storage.base.errors import StorageError
    from tasks.feedback.truths import parse_truths

    try:
        load_recipe(recipe, overrides)
        if truth is not None:
            parse_truths(truth)
    except (RecipeError, StorageError) as error:
        raise fail(str(error), EXIT_USAGE) from error


def _say_outcome(outcome: "FeedbackOutcome") -> None:
    for finding in outcome.evidence:
        say(f"  {finding.name}: {finding.detail}", STYLES.get(finding.outcome))
    where = outcome.dataset or "no version yet"
    say(f"{outcome.decision}  {outcome.collected:,} new rows, {where}", "bold")
    if outcome.receipt is not None:
        say(f"  receipt  {outcome.receipt}")
