"""`lepton datasets`: what is stored, how it came about, and that it is still what was written."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lepton_ai.commands.common import (
    DEFAULT_WORKSPACE,
    EXIT_USAGE,
    AsJson,
    Workspace,
    answer,
    fail,
    on_platform,
    parse_ids,
    say,
)
from storage.base.store import Store

if TYPE_CHECKING:
    from storage.datasets.dataset import Dataset
    from storage.datasets.version import Version

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of a dataset.")]
Reference = Annotated[
    str,
    typer.Argument(help="NAME, NAME@NUMBER, NAME@TAG or NAME@DATE; without @ the latest version."),
]


def _open_dataset(workspace: str, name: str) -> "Dataset":
    from storage.datasets.dataset import Dataset

    return Dataset(Store(workspace), name)


def _open_version(workspace: str, reference: str) -> "Version":
    name, _, version = reference.partition("@")
    wanted = int(version) if version.isdigit() else version or None
    return _open_dataset(workspace, name).open(wanted)


def _count(rows: dict[str, int]) -> str:
    return ", ".join(f"{split or 'all'} {count:,}" for split, count in rows.items()) or "no rows"


@app.command("list")
@on_platform("datasets")
def list_(workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """List the datasets of a workspace with their latest version."""
    from storage.datasets.files import list_datasets

    for name in list_datasets(Store(workspace)):
        version = _open_dataset(workspace, name).latest()
        if version is not None:
            fields = {
                "name": name,
                "version": version.number,
                "rows": version.splits,
                "digest": version.digest,
            }
            answer(fields, f"{version.ref:<32} {_count(version.splits)}", as_json)


@app.command()
@on_platform("datasets")
def log(name: Name, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """Show every entry of a dataset's log, oldest first."""
    for entry in _open_dataset(workspace, name).log():
        tags = " ".join(f"[{tag}]" for tag, number in entry.tags.items() if number == entry.number)
        when = f"{entry.created_at:%Y-%m-%d %H:%M:%S}"
        text = f"{entry.number:>5}  {when}  {entry.kind:<12} {_count(entry.rows)}  {tags} "
        text += entry.message
        answer(entry.model_dump(mode="json"), text.rstrip(), as_json)


@app.command()
@on_platform("datasets")
def show(
    reference: Reference, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False
) -> None:
    """Show a version: fields, splits, statistics; no data is read."""
    version = _open_version(workspace, reference)
    statistics = version.statistics()
    fields: dict[str, Any] = {
        "ref": version.ref,
        "digest": version.digest,
        "rows": version.splits,
        "shards": len(version.shards),
        "size_bytes": sum(shard.size_bytes for shard in version.shards),
        "fields": [field.model_dump(mode="json") for field in version.fields],
        "statistics": {
            name: figures.model_dump(mode="json") for name, figures in statistics.items()
        },
    }
    lines = [
        f"{version.ref}  {version.digest}",
        f"{_count(version.splits)} in {len(version.shards)} shards",
    ]
    for field in version.fields:
        figures = statistics.get(field.name)
        span = (
            f"min {figures.min}  max {figures.max}  mean {figures.mean}"
            if figures is not None
            else ""
        )
        lines.append(f"  {field.name:<16} {field.dtype:<8} {list(field.shape)!s:<14} {span}")
    answer(fields, "\n".join(lines), as_json)


@app.command()
@on_platform("datasets")
def diff(
    old: Reference,
    new: Reference,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one version to another."""
    from storage.datasets.diff import compare_versions

    found = compare_versions(_open_version(workspace, old), _open_version(workspace, new))
    text = (
        f"{found.old} -> {found.new}: rows +{len(found.rows_added)} -{len(found.rows_removed)} "
        f"changed {len(found.rows_changed)}; shards +{len(found.shards_added)} "
        f"-{len(found.shards_removed)} kept {found.shards_kept}"
    )
    answer(dataclasses.asdict(found), text, as_json)


@app.command()
@on_platform("datasets")
def verify(reference: Reference, workspace: Workspace = DEFAULT_WORKSPACE) -> None:
    """Hash again every file of a version.

    Exit status: 0 all is as written, 1 something is not; each bad file is named.
    """
    from storage.datasets.verify import verify_version

    version = _open_version(workspace, reference)
    faults = verify_version(version)
    for fault in faults:
        say(f"BAD  {fault}", "red")
    if faults:
        raise fail(f"{version.ref} does not hold: {len(faults)} files are not as written")
    say(f"good  {version.ref}: every file is as written", "green")


@app.command()
@on_platform("datasets")
def tag(
    reference: Reference,
    name: Annotated[str, typer.Argument(help="The tag.")],
    move: Annotated[
        bool, typer.Option("--move", help="Take the tag from another version.")
    ] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Name a version."""
    version = _open_version(workspace, reference)
    _open_dataset(workspace, version.name).tag(name, version.number, move=move)
    say(f"{version.ref} is now {version.name}@{name}")


@app.command()
@on_platform("datasets")
def gc(
    name: Name,
    grace_s: Annotated[
        float, typer.Option(help="Age below which an unused file is kept, in seconds.")
    ] = 24 * 3600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Delete files that no version needs: what killed writers left."""
    from storage.upkeep.gc import collect_garbage

    done = collect_garbage(_open_dataset(workspace, name), grace_s, dry_run=dry_run)
    word = "would delete" if dry_run else "deleted"
    files = f"{len(done.shards)} shards, {len(done.manifests)} manifests"
    text = f"{word} {files}, {done.size_bytes:,} bytes"
    answer(dataclasses.asdict(done), text, as_json)


@app.command()
@on_platform("datasets")
def export(
    reference: Reference,
    url: Annotated[str, typer.Argument(help="Folder or URL to write to; must not hold anything.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
) -> None:
    """Write a version as one plain Zarr group, for other programs."""
    from storage.datasets.zarr_export import export_version

    say(f"wrote {export_version(_open_version(workspace, reference), Store(url))}")


@app.command()
@on_platform("datasets")
def delete(
    name: Name,
    row_id: Annotated[
        list[str],
        typer.Option("--row-id", help="Id of a row, decimal or 0x hexadecimal; may be repeated."),
    ],
    purge: Annotated[
        bool, typer.Option("--purge", help="From all of history; says which models saw it.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the log.")] = "",
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Delete rows: from the next version on, or with --purge from all of history."""
    from storage.upkeep.edits import delete_rows
    from storage.upkeep.purge import purge_rows

    ids = parse_ids(row_id, "--row-id")
    dataset = _open_dataset(workspace, name)
    if not purge:
        say(
            f"{delete_rows(dataset, ids, message=reason).ref} no longer holds {len(ids)} rows; "
            "earlier versions do"
        )
        return
    if not reason:
        raise fail("--purge must have a --reason; got none; it is kept in the log", EXIT_USAGE)
    done = purge_rows(dataset, ids, reason=reason)
    seen = (
        f"models that had seen them: {', '.join(done.models)}"
        if done.models
        else "no model had seen them"
    )
    answer(
        dataclasses.asdict(done),
        f"purged {len(done.row_ids)} rows from {len(done.versions)} versions; {seen}",
        as_json,
    )
