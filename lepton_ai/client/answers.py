"""What a server says, as typed records; what is not known here is kept or passed over."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from lepton_ai.client.errors import BadAnswer
from storage.base.json_keys import load_json


class Prediction(BaseModel):
    """One answer, as `lepton predict --json` prints it.

    Attributes:
        file: What was asked, by the name that it was given.
        row: Number of the sample in it, from 0, where it holds several.
        of: Whose the sample is, where there are samples of several.
        note: What a person should know before trusting the answer.
        times: When the steps are that it says something of, in UTC; empty where nothing tells it.
        model_id: Which model answered.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    __pydantic_extra__: dict[str, JsonValue]
    file: str = ""
    row: int | None = None
    of: str | None = None
    note: str | None = None
    times: tuple[str, ...] = ()
    model_id: str

    @property
    def outputs(self) -> dict[str, JsonValue]:
        """What the model says: such as `label`, `confidence`, `value`, `forecast`."""
        return dict(self.__pydantic_extra__)


class Answer(BaseModel):
    """What `/predict/MODEL` answers.

    Attributes:
        model_id: Which model answered; `lepton trace` leads from it to what it learned from.
        answer_id: Names the answer for `feedback`.
        predictions: One for each sample.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_id: str
    answer_id: str
    predictions: tuple[Prediction, ...]


class ServerDescription(BaseModel):
    """What a server says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str = ""
    extensions: tuple[str, ...] = ()


class TensorDescription(BaseModel):
    """A tensor of a model: its name, datatype, and shape, in which -1 may be any length."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelDescription(BaseModel):
    """What a server says of a model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    versions: tuple[str, ...] = ()
    platform: str = ""
    inputs: tuple[TensorDescription, ...] = ()
    outputs: tuple[TensorDescription, ...] = ()


class Accepted(BaseModel):
    """How many truths were taken."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    accepted: int


R = TypeVar("R", bound=BaseModel)


def read_answer(kind: type[R], body: bytes) -> R:
    """Read the JSON of an answer.

    Raises:
        BadAnswer: It is no such record.
    """
    try:
        return kind.model_validate(load_json(body))
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        said = f"{'.'.join(map(str, fault['loc'])) or 'its whole'}: {fault['msg']}"
    except (ValueError, RecursionError):
        said = "no JSON"
    raise BadAnswer(
        f"answer must be {kind.__name__} as JSON; got {said[:200]}; see that the address is such a "
        "server's"
    )
