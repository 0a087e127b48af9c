"""What a spool holds: its rows, and marks of how far it got."""

from dataclasses import dataclass

_ROW_BYTES = 200  # What a row takes beside its content, in the database and in the count.


@dataclass(frozen=True)
class SpoolRow:
    """One record that is kept.

    Attributes:
        sequence: Its number among all that the device answered or was told.
        kind: "answer", "truth", or "metadata": an answer without its input.
        at: When, in ISO 8601.
        model_id: The model that answered; None of a truth.
        probability: The chance that it had to be kept.
        reason: Why it was kept.
        answer_id: The answer that it is, or that a truth belongs to.
        said: JSON of what the model said, or of the truth.
        dtype: numpy name of the input's dtype; None of a truth.
        shape: JSON of one input's shape.
        data: The input's bytes.
        times: The bytes of its rows' times, float64; None of other forms than series.
    """

    sequence: int
    kind: str
    at: str
    model_id: str | None
    probability: float
    reason: str
    answer_id: str
    said: str
    dtype: str | None = None
    shape: str | None = None
    data: bytes = b""
    times: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """About what it takes in the file."""
        return len(self.said) + len(self.data) + len(self.times or b"") + _ROW_BYTES


@dataclass(frozen=True)
class SpoolMarks:
    """How far the spool got, and what it holds.

    Attributes:
        reserved: Highest sequence number that may have been given.
        sent: Highest one of the last range that was acknowledged.
        pending: Highest one of the range that is being sent; 0: none is.
        dropped: Records that made room for others, or could not be written, ever.
        records: Records that are held.
        bytes: About what they take.
    """

    reserved: int = 0
    sent: int = 0
    pending: int = 0
    dropped: int = 0
    records: int = 0
    bytes: int = 0
