"""What was guessed of data that nobody has described, how sure that is, and why."""

from dataclasses import dataclass, field

from storage.base.redaction import redact

SURE, LIKELY, UNSURE, UNKNOWN = "sure", "likely", "unsure", "unknown"


@dataclass(frozen=True)
class Guess:
    """One setting of a recipe that was drafted.

    Attributes:
        what: Its dotted path in the recipe.
        value: What was written there, as a person reads it.
        confidence: `sure`, `likely`, `unsure`, or `unknown` where only a person can know.
        why: What was seen, or, where it is unknown, what to write instead.
    """

    what: str
    value: str
    confidence: str
    why: str

    def __str__(self) -> str:
        return f"{self.value} ({self.confidence}): {self.why}"


@dataclass
class Notes:
    """Gathers guesses, in the order in which they were made."""

    guesses: list[Guess] = field(default_factory=list)

    def add(self, what: str, value: object, confidence: str, why: str) -> None:
        """Keep one guess, without what may be secret in it."""
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        self.guesses.append(Guess(what, redact(shown), confidence, redact(why)))


class DraftError(Exception):
    """No recipe can be drafted: names what was found, where, and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))
