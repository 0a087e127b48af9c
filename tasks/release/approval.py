"""A person's yes or no to a release: what is asked, and the sealed answer.

<workspace>/approvals/<run>.request.json    what a run asks, sealed by the machine that runs it
<workspace>/approvals/<run>.json            the answer, sealed by the machine of who gave it

An answer names the digest of what was asked: a run that went on and came to another model asks
again.
"""

import json
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from deployments.targets.errors import NotCleared, TargetError
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.sealed import open_sealed, seal_body
from storage.base.errors import Corrupt, NotFound
from storage.base.figures import Figure
from storage.base.store import Store, canonical_json, sha256_bytes
from storage.records.receipts import Receipt
from tasks.runtime.approval_outcome import RUN_PATTERN, Approval
from tasks.runtime.outcome_base import Result

FOLDER = "approvals"
_REQUEST = ".request.json"
R = TypeVar("R", bound=Result)
_REMEDY = "remove the file, and ask again; or import the signer's public key"


class ApprovalRequest(Result):
    """What a run asks a person.

    Attributes:
        run: Id of the run.
        recipe: Name of its recipe.
        model: Identity of the model.
        channels: The digest of what each channel would get, of those that ask for a person.
        headline: Name of the figure that the model is judged by.
        figures: The model's figures.
        until: When the answer is no, if none was given.
    """

    format: Literal[1] = 1
    run: Annotated[str, Field(pattern=RUN_PATTERN)]
    recipe: str
    model: str
    channels: dict[str, str]
    headline: str
    figures: tuple[Figure, ...]
    until: datetime

    @property
    def digest(self) -> str:
        """Digest of what is asked, whenever it is."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json", exclude={"until"})))

    @property
    def question(self) -> str:
        """What is asked, in a sentence."""
        return (
            f"model {self.model[:12]} of recipe {self.recipe} for {', '.join(self.channels)}, run "
            f"{self.run}; without an answer by {self.until.isoformat(timespec='seconds')} it is no"
        )

    @property
    def held_out(self) -> tuple[Figure, ...]:
        """The figures on held-out rows, the headline first."""
        found = [figure for figure in self.figures if figure.split == "held_out"]
        return tuple(sorted(found, key=lambda figure: figure.name != self.headline))

    def describe(self) -> str:
        """Return it in words, with the figures on held-out rows."""
        lines = [self.question]
        for figure in self.held_out:
            interval = ""
            if figure.interval is not None:
                interval = f" ({figure.interval[0]:.6g} to {figure.interval[1]:.6g})"
            value = "not defined" if figure.value is None else f"{figure.value:.6g}"
            lines.append(f"  {figure.name} {value}{interval}, {figure.direction} is better")
        return "\n".join(lines)


def make_request(receipt: Receipt, channels: tuple[str, ...], until: datetime) -> ApprovalRequest:
    """Return what is asked of the release that a receipt would clear."""
    return ApprovalRequest(
        run=receipt.run,
        recipe=str(receipt.recipe.get("name", "")),
        model=receipt.model_id or "",
        channels={name: receipt.channels[name].sha256 for name in channels},
        headline=receipt.headline,
        figures=receipt.figures,
        until=until,
    )


def write_request(store: Store, request: ApprovalRequest, ring: KeyRing) -> None:
    """Writes down what is asked, for whoever answers from elsewhere."""
    body = request.model_dump(mode="json")
    store.write(f"{FOLDER}/{request.run}{_REQUEST}", seal_body(body, ring.receipt_signer()))


def read_request(store: Store, run: str, ring: KeyRing | None = None) -> ApprovalRequest:
    """Reads what a run asks.

    Raises:
        NotFound: It asks nothing.
        Corrupt: It is not signed by a trusted key, or is another run's.
    """
    try:
        found = _read(store, f"{FOLDER}/{run}{_REQUEST}", ApprovalRequest, ring or KeyRing())
    except NotFound as error:
        raise NotFound(
            f"run ({run}) must wait for an answer in workspace {store.display}; got none that "
            "does; see `lepton runs`"
        ) from error
    if found.run != run:
        raise Corrupt(f"approval of run {run} must be its own; got that of {found.run}; {_REMEDY}")
    return found


def list_awaited(store: Store, since: datetime, ring: KeyRing | None = None) -> set[str]:
    """List the models that people are asked of, or were until some time.

    Raises:
        Corrupt: A request is not signed by a trusted key.
    """
    names = [name for name in store.listdir(FOLDER) if name.endswith(_REQUEST)]
    requests = [read_request(store, name.removesuffix(_REQUEST), ring) for name in names]
    return {request.model for request in requests if request.until >= since}


def require_time(store: Store, request: ApprovalRequest, now: datetime) -> None:
    """Checks that what is asked has an answer, or can still be given one.

    Raises:
        TargetError: The time for it is over, and the run that asked was lost before it said so.
    """
    if now > request.until and read_answer(store, request, KeyRing()) is None:
        raise TargetError(
            f"run ({request.run}) must be answered by "
            f"{request.until.isoformat(timespec='seconds')}; got an answer after it; resume the "
            "run, which asks again"
        )


def write_answer(store: Store, answer: Approval, ring: KeyRing | None = None) -> Approval:
    """Writes down an answer, if there is none to the same question; the first one stands.

    Returns:
        The answer that stands.
    """
    place = f"{FOLDER}/{answer.run}.json"
    data = seal_body(answer.model_dump(mode="json"), (ring or KeyRing()).receipt_signer())
    if store.put_if_absent(place, data):
        return answer
    there = _read(store, place, Approval, ring or KeyRing())
    if there.request == answer.request:
        return there
    store.write(place, data)
    return answer


def read_answer(store: Store, request: ApprovalRequest, ring: KeyRing) -> Approval | None:
    """Reads the answer to what a run asks; None: there is none yet.

    Raises:
        Corrupt: It is not signed by a trusted key.
    """
    try:
        answer = _read(store, f"{FOLDER}/{request.run}.json", Approval, ring)
    except NotFound:
        return None
    same = answer.run == request.run and answer.request == request.digest
    return answer if same else None


def _read(store: Store, place: str, kind: type[R], ring: KeyRing) -> R:
    data = store.read(place)
    try:
        body = open_sealed(data, ring.trusted_receipt_keys(), place, remedy=_REMEDY)
        return kind.model_validate_json(json.dumps(body))
    except NotCleared as error:
        raise Corrupt(str(error)) from error
    except ValidationError as error:
        raise Corrupt(
            f"{place} must follow format 1; got {error.errors()[0]['msg']}; {_REMEDY}"
        ) from error
