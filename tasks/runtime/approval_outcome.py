"""What the stage approve hands on: a person's answer."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tasks.runtime.outcome_base import Outcome, Result

RUN_PATTERN = r"^\d{8}-\d{6}-[0-9a-f]{6}$"


class Approval(Result):
    """What a person answered.

    Attributes:
        run: Id of the run.
        request: Digest of what was asked.
        approved: Yes or no.
        author: Who answered; "time limit" where nobody did.
        reason: Why.
        at: When.
    """

    format: Literal[1] = 1
    run: Annotated[str, Field(pattern=RUN_PATTERN)]
    request: str
    approved: bool
    author: Annotated[str, Field(min_length=1)]
    reason: str
    at: datetime

    def describe(self) -> str:
        """Return it in words."""
        why = f": {self.reason}" if self.reason else ""
        word = "yes" if self.approved else "no"
        return f"{word} by {self.author} at {self.at.isoformat(timespec='seconds')}{why}"


class Approved(Outcome):
    """A person's yes, as the receipt holds it."""

    type: Literal["approved"] = "approved"
    answer: Approval

    @property
    def facts(self) -> tuple[str, ...]:
        """Who said so, when and why."""
        return (self.answer.describe(),)
