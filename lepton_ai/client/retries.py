"""How long a client waits before it asks again: by chance, and never sooner than it was told."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BUSY = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may be answered later."""


@dataclass(frozen=True)
class Retries:
    """How often and how soon a request is sent again.

    Pauses are drawn evenly from 0 to a bound that doubles ("full jitter", M. Brooker, "Exponential
    Backoff And Jitter", 2015), so that clients refused together do not come back together.

    Attributes:
        most: Most times that a request is sent again; 0 for never.
        first_s: Bound of the first pause, in seconds.
        longest_s: Bound of any pause.
    """

    most: int = 4
    first_s: float = 0.2
    longest_s: float = 10.0

    def draw_pause(
        self, attempt: int, asked_s: float | None, draw: Callable[[], float] = random.random
    ) -> float:
        """Return the seconds until a request is sent again.

        Args:
            attempt: How often it was sent again already.
            asked_s: The least that the server asked for; what is drawn is added to it.
            draw: Gives a number from 0 to 1.
        """
        return (asked_s or 0.0) + draw() * min(self.longest_s, self.first_s * 2.0**attempt)


def read_retry_after(text: str | None, now: datetime | None = None) -> float | None:
    """Read the header Retry-After: seconds, or a date (RFC 9110, section 10.2.3).

    Args:
        text: The header; None where there is none.
        now: What a date is counted from; None for now.

    Returns:
        Seconds, 0 or more; None where it says nothing.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
