"""Which answers a device keeps for its uplink: all, or a sample that anybody can draw again.

Whether an answer is kept depends on its id alone, never on when or how often it is asked: the first
8 bytes of the id's sha256, as a number, are held against the probability.
"""

from dataclasses import dataclass
from typing import Literal

from deployments.targets.errors import SpoolError
from storage.base.store import redact, sha256_bytes

ALL = "all"
_SAMPLED = "sampled:"


@dataclass(frozen=True)
class KeepPolicy:
    """The chance that an answer is kept.

    Attributes:
        probability: 0 < P <= 1.
        reason: What a kept answer says of why: "all" or "sampled".
    """

    probability: float
    reason: Literal["all", "sampled"]

    def keeps(self, answer_id: str) -> bool:
        """Tells whether an answer of this id is kept."""
        if self.probability >= 1:
            return True
        drawn = int(sha256_bytes(answer_id.encode())[:16], 16)
        return drawn < self.probability * 2**64


def parse_policy(text: str) -> KeepPolicy:
    """Return the policy of a text: "all", or "sampled:P" with 0 < P <= 1.

    Raises:
        SpoolError: It is neither.
    """
    if text == ALL:
        return KeepPolicy(1.0, "all")
    try:
        probability = float(text.removeprefix(_SAMPLED)) if text.startswith(_SAMPLED) else 0.0
    except ValueError:
        probability = 0.0
    if not 0 < probability <= 1:
        raise SpoolError(
            f"policy ({redact(text)[:60]}) must be 'all', or 'sampled:P' with 0 < P <= 1; got "
            "another; give --policy sampled:0.1 to keep every tenth answer"
        )
    return KeepPolicy(probability, "sampled")
