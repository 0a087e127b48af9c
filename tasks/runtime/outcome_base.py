"""What every outcome of a stage can say of itself, so that nobody has to ask which one it is."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator, SerializeAsAny

from storage.base.registry import Registry
from storage.records.receipts import DatasetRecord
from tasks.rendering.markdown import render_facts_markdown

Word = Literal["done", "green", "red"]


class Result(BaseModel):
    """Base of the small frozen records that stages hand on: refs with digests, never data."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileReference(Result):
    """A file that an outcome counts on.

    Attributes:
        path: Its path.
        sha256: Digest of its bytes.
        folder: Absolute folder that the path is in; empty for the run's workspace.
    """

    path: str
    sha256: str
    folder: str = ""


class References(Result):
    """All that an outcome counts on outside of itself.

    Attributes:
        datasets: Versions of datasets.
        files: Files by digest.
        receipts: Ids of receipts.
        champions: Release of each channel's champion that the outcome was held against; None where
            it was held against none, whoever the champions are.
    """

    datasets: tuple[DatasetRecord, ...] = ()
    files: tuple[FileReference, ...] = ()
    receipts: tuple[str, ...] = ()
    champions: dict[str, int] | None = None


class Outcome(Result):
    """Base of what a stage hands on.

    An outcome of a flow of one's own says its `type`, a literal, and is registered by
    `register_outcome`; the rest has defaults.
    """

    type: str

    @property
    def facts(self) -> tuple[str, ...]:
        """A few short facts, for the terminal and the page."""
        return ()

    @property
    def summary(self) -> tuple[str, ...]:
        """The facts where there is little room, as on the chain of the run's page."""
        return self.facts

    @property
    def word(self) -> Word:
        """How the stage ended, in a word."""
        return "done"

    @property
    def references(self) -> References:
        """What must still hold for this outcome to hold."""
        return References()

    @property
    def is_kept(self) -> bool:
        """Whether a run that goes on may keep it, as long as its references hold."""
        return True

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return a short page for the Prefect UI.

        Args:
            stage: Name of the stage.
            folder: Where the run's pages are once it has ended, without secrets.
        """
        del folder
        return render_facts_markdown(stage, self.facts)


OUTCOMES: Registry[type[Outcome]] = Registry("outcome of a stage", "tasks")
"""The classes of outcomes by their types."""


def register_outcome(outcome: type[Outcome]) -> type[Outcome]:
    """Adds a class to the table under its type, so that a run's journal reads it back."""
    return OUTCOMES.register(str(outcome.model_fields["type"].default), outcome)


def _read_outcome(found: Any) -> Outcome:
    """Reads an outcome as the class of its type, a plug-in's among them."""
    if isinstance(found, Outcome):
        return found
    name = found.get("type") if isinstance(found, dict) else None
    if name not in OUTCOMES:
        raise ValueError(
            f"type of an outcome ({name}) must be one of {', '.join(OUTCOMES)}; got another; "
            "install the plug-in that brings it"
        )
    return OUTCOMES.find(str(name)).model_validate(found)


AnyOutcome = Annotated[SerializeAsAny[Outcome], PlainValidator(_read_outcome)]
