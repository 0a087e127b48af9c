"""`lepton gc`: what a workspace no longer needs is listed and removed."""

from datetime import timedelta
from typing import Annotated

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    AsJson,
    Workspace,
    answer,
    on_platform,
)
from storage.base.store import Store


@on_platform("gc")
def gc(
    days: Annotated[
        float, typer.Option(min=0, max=100_000, help="Whatever is younger stays, in days.")
    ] = 30.0,
    keep: Annotated[
        int, typer.Option(min=0, help="Newest models and runs of each recipe that stay.")
    ] = 3,
    releases: Annotated[
        int, typer.Option(min=1, help="Newest releases of each channel that stay to go back to.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Remove models, weights, reports, data versions and channels' files that nothing needs.

    Needed is what a channel offers or may go back to, what has a tag, is young or among the newest
    of its recipe, and all that the receipts of these name. Receipts stay, and so do the latest
    data and those that were accepted last.
    """
    from tasks.release.retention import Policy, find_removal, remove
    from tasks.rendering.text import format_bytes

    policy = Policy(newest=keep, releases=releases, age=timedelta(days=days))
    found = (find_removal if dry_run else remove)(Store(workspace), policy)
    word = "would remove" if dry_run else "removed"
    lines = [f"{word} {path}" for path in found.paths]
    refs = [f"{name}@{each}" for name, numbers in found.versions.items() for each in numbers]
    lines += [f"{word} version {ref}" for ref in refs]
    lines.append(
        f"{word} {len(found.models)} models, {len(refs)} data versions, {len(found.paths)} files, "
        f"{format_bytes(found.size_bytes)}"
    )
    lines += [
        f"data set {name}: a collection is at work or was killed; run it again in some minutes"
        for name in found.waiting
    ]
    answer({**found.model_dump(mode="json"), "dry_run": dry_run}, "\n".join(lines), as_json)
