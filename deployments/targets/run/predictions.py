"""What is said of a file: one answer a sample, with the model that gave it."""

import json

from pydantic import BaseModel, ConfigDict, JsonValue

from deployments.targets.run.objectives import ANSWERS, Output


class Prediction(BaseModel):
    """One answer.

    Attributes:
        file: The file, as it was given.
        row: Number of the sample in it, from 0, where a file holds several.
        of: Whose the sample is, where a file holds samples of several.
        objective: What the model was asked, as its card says.
        outputs: What it says of the sample.
        times: When the steps are that it says something of, as ISO 8601 in UTC; empty where it
            says nothing of steps to come, or nothing tells when they are.
        model_id: Which model answered.
        note: What a person should know before trusting the answer, such as of a category that was
            not learned from; None where there is nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    row: int | None = None
    of: str | None = None
    objective: str
    outputs: tuple[Output, ...]
    times: tuple[str, ...] = ()
    model_id: str
    note: str | None = None

    def find(self, name: str) -> JsonValue:
        """Return the value of an output; None where the model says nothing by that name."""
        return next((output.value for output in self.outputs if output.name == name), None)

    def to_json(self) -> str:
        """Return one line of JSON, in which each output is a key."""
        place = {} if self.row is None else {"row": self.row}
        whose = {} if self.of is None else {"of": self.of}
        said = {output.name: output.value for output in self.outputs}
        times = {"times": self.times} if self.times else {}
        noted = {} if self.note is None else {"note": self.note}
        found = {**place, **whose, **said, **times, **noted}
        document = {"file": self.file, **found, "model_id": self.model_id}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file} row {self.row}"
        noted = "" if self.note is None else f"  (note: {self.note})"
        where = where if self.of is None else f"{where} ({self.of})"
        return f"{where}  {ANSWERS.find(self.objective).say(self.outputs)}{noted}"
