"""What a run at work needs until its receipt names it, or a lost one to go on: for clean-ups.

<workspace>/working/<run>.json      one sealed record a run; it goes with the run's journal

Without it a clean-up could take what is older than a day for nobody's, beside a longer training.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from deployments.targets.errors import NotCleared, TargetError
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import NotFound
from storage.base.store import Store, canonical_json
from storage.records.models import FOLDER as MODELS
from tasks.runtime.approval_outcome import RUN_PATTERN
from tasks.runtime.outcome_base import Result
from tasks.runtime.run_record import RunRecord

FOLDER: Final = "working"
LOST_AFTER: Final = timedelta(days=30)
"""Age of a record from which on nobody goes on with its run."""
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_SUFFIX = ".json"
_REMEDY = "import its signer's public key, or remove the file if that run is over"


class Need(Result):
    """What one run needs.

    Attributes:
        run: Id of the run.
        at: When this was written down, in UTC: at the end of a stage.
        versions: Numbers of versions, by data set.
        models: Ids of models whose files it has begun.
        digests: Whatever its recipe names by digest: weights, models, data that it joins.
    """

    format: Literal[1] = 1
    run: Annotated[str, Field(pattern=RUN_PATTERN)]
    at: datetime
    versions: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    models: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()


class Needs(Result):
    """What all runs need together."""

    versions: frozenset[tuple[str, int]] = frozenset()
    digests: frozenset[str] = frozenset()


def note_need(workspace: Store, record: RunRecord, ring: KeyRing | None = None) -> None:
    """Writes down what a run needs from now on; nothing for one that needs nothing yet."""
    found = [stage.outcome.references for stage in record.stages.values() if stage.outcome]
    versions: dict[str, tuple[int, ...]] = {}
    for dataset in (each for references in found for each in references.datasets):
        versions[dataset.name] = (*versions.get(dataset.name, ()), dataset.number)
    paths = (file.path for each in found for file in each.files if not file.folder)
    models = {path.split("/")[1] for path in paths if path.startswith(f"{MODELS}/")}
    digests = set(_DIGEST.findall(canonical_json(record.recipe["document"]).decode()))
    if not (versions or models or digests):
        return
    need = Need(
        run=record.run,
        at=datetime.now(UTC),
        versions=versions,
        models=tuple(sorted(models)),
        digests=tuple(sorted(digests)),
    )
    sealed = seal_body(need.model_dump(mode="json"), (ring or KeyRing()).receipt_signer())
    workspace.write(_locate(record.run), sealed)


def drop_need(workspace: Store, run: str) -> None:
    """Removes what was written down of a run; nothing is no fault."""
    workspace.delete(_locate(run))


def list_needs(workspace: Store, now: datetime, ring: KeyRing | None = None) -> Needs:
    """List what the runs of a workspace need.

    Raises:
        TargetError: A record is not signed by a trusted key, or damaged.
    """
    needs = [need for _, need in _read_all(workspace, ring) if need.at >= now - LOST_AFTER]
    return Needs(
        versions=frozenset(
            (name, number)
            for need in needs
            for name, numbers in need.versions.items()
            for number in numbers
        ),
        digests=frozenset(digest for need in needs for digest in (*need.models, *need.digests)),
    )


def list_over(workspace: Store, now: datetime, ring: KeyRing | None = None) -> Iterable[str]:
    """Yield the records of runs that nobody goes on with."""
    for path, need in _read_all(workspace, ring):
        if need.at < now - LOST_AFTER:
            yield path


def _read_all(workspace: Store, ring: KeyRing | None) -> Iterator[tuple[str, Need]]:
    trusted = (ring or KeyRing()).trusted_receipt_keys()
    for name in workspace.listdir(FOLDER):
        path = f"{FOLDER}/{name}"
        what = f"record {path} of {workspace.display}"
        try:
            body = open_sealed(workspace.read(path), trusted, what, remedy=_REMEDY)
            need = Need.model_validate_json(json.dumps(body))
        except NotFound:
            continue  # The run has just ended: its receipt names all of this.
        except ValidationError as error:
            raise NotCleared(
                f"{what} must follow format 1; got {error.errors()[0]['msg']}; {_REMEDY}"
            ) from error
        if _locate(need.run) != path:
            raise TargetError(f"{what} must be of its own run; got {need.run}; {_REMEDY}")
        yield path, need


def _locate(run: str) -> str:
    return f"{FOLDER}/{run}{_SUFFIX}"
