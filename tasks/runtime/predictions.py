"""What the training process says of the answers that it has written: plain data, no Prefect."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Base of all that crosses between the launcher and the training process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Written(Message):
    """A file in the training's directory."""

    file: str
    sha256: str
    size_bytes: int


class Predictions(Written):
    """Answers for one split, one a row, ordered by row id.

    Attributes:
        rows: Number of rows.
        figures: By name: "loss", and "accuracy" in [0, 1] or "error".
    """

    rows: int
    figures: dict[str, float]
