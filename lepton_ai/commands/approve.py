"""`lepton approve`: a person's answer to a run that waits for one."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lepton_ai.commands.common import DEFAULT_WORKSPACE, Workspace, on_platform, say
from lepton_ai.commands.deciding import Author, name_author, parse_words
from storage.base.store import Store


@on_platform("approve")
def approve(
    run: Annotated[str, typer.Argument(help="Id of the run that waits.")],
    no: Annotated[bool, typer.Option("--no", help="Refuse the release.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Approve it without being asked.")] = False,
    reason: Annotated[str, typer.Option("--reason", callback=parse_words, help="Why.")] = "",
    author: Author = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Show what a run would release, and let it: the first answer stands."""
    from tasks.pages.report import report_path
    from tasks.release.approval import read_request, require_time, write_answer
    from tasks.runtime.approval_outcome import Approval

    store = Store(workspace)
    request = read_request(store, run)
    say(request.describe())
    if store.exists(page := report_path(run)):
        say(f"page {store.display}/{page}")
    require_time(store, request, datetime.now(UTC))
    approved = not no and (yes or _ask())
    answer = Approval(
        run=request.run,
        request=request.digest,
        approved=approved,
        author=name_author(author),
        reason=reason,
        at=datetime.now(UTC),
    )
    say(f"run {run}: {write_answer(store, answer).describe()}")


def _ask() -> bool:
    """Asks until the answer is yes or no: it stands, so that nothing else may be taken for one."""
    while True:
        word = typer.prompt("Publish it? yes or no", err=True).strip().lower()
        if word in ("yes", "no"):
            return bool(word == "yes")
        say("write yes or no; whatever else it is, the run goes on waiting")
