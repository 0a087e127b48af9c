"""A decision on a channel: what was done, by whom and why, as the commit that does it signs it."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.targets.errors import ChannelCorrupt
from storage.base.store import redact

Action = Literal[
    "init",
    "release",
    "promote",
    "rollback",
    "hold",
    "pin",
    "lift",
    "rotate-key",
    "set-threshold",
    "retire",
]
MAX_WORDS: Final = 2000


class Decision(BaseModel):
    """What was decided on a channel.

    Attributes:
        action: What was done: "release": a run published; "promote": the newest release reaches
            more devices; "rollback": an earlier one is offered again; "hold", "pin" and "retire":
            no new one is taken; "lift": they are again; "rotate-key": a role has another key;
            "set-threshold": another number of its keys must sign.
        author: Who decided: a person, or a run.
        at: When, ISO 8601 in UTC.
        reason: Why, in words; empty where the evidence says it.
        release: Number of the release that is newest after it; None: none.
        evidence: What it rests on, such as the receipt's digest, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    author: str = Field(min_length=1, max_length=MAX_WORDS)
    at: str
    reason: str = Field(default="", max_length=MAX_WORDS)
    release: int | None = None
    evidence: dict[str, int | str] = {}

    @classmethod
    def parse(cls, document: object, where: str) -> "Decision":
        """Reads the record from signed metadata.

        Raises:
            ChannelCorrupt: It is none that is known here.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise ChannelCorrupt(
                f"decision ({where}) must follow its format; got {error}; use a newer Lepton"
            ) from error


def to_line(text: str) -> str:
    """Return what a person wrote as it may be signed and shown: one line, no secrets of URLs."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return redact(" ".join(shown.split()))
