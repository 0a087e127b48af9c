"""Defines a recipe: one use case as data, in frozen sections that lie beside their users."""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from deployments.targets.specs import ClassName, DeviceClass, TargetSpec
from flows.errors import RecipeFault
from flows.kinds import KINDS
from gates.model.objectives import gates_for_objective
from gates.specs.sections import GatesSpec
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import AUTO
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from storage.base.parts import PREFIX
from storage.base.redaction import redact
from storage.base.shown import show_value
from storage.base.store import canonical_json, sha256_bytes
from storage.forms.base import RowsSpec
from storage.forms.registry import FORMS
from storage.records.receipts import StartRecord
from storage.sources import AnySource

FORMAT = 1
_OF_ADDRESSES = ("description", "source", "train")


class _SchemaOfForms:
    """Tells a JSON schema that a data section is that of any form."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(spec.__pydantic_core_schema__) for spec in _list_sections()]}


def _list_sections() -> list[type[RowsSpec]]:
    return [form.spec for form in FORMS.rows]


def _name_kinds(schema: JsonSchemaValue) -> None:
    schema["enum"] = list(KINDS)


if TYPE_CHECKING:
    AnyRows = RowsSpec
else:
    AnyRows = Annotated[SerializeAsAny[RowsSpec], _SchemaOfForms()]


class Recipe(BaseModel):
    """Holds everything that makes one run differ from another, from source to targets.

    Validated from a document, it is a recipe of that document's kind and form: `narrow_recipe`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    format: Literal[1]
    """Version of this format; newer ones are refused."""
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """Short name; data sets are called `<name>-raw` and `<name>-prepared`."""
    description: str = ""
    """One sentence for people."""
    kind: str = Field(json_schema_extra=_name_kinds)
    """What is to be learned."""
    source: AnySource
    """Where the rows come from."""
    data: AnyRows
    """Which rows and fields there are, and how they are split."""
    gates: GatesSpec = GatesSpec()
    """The limits of all gates."""
    model: ModelSpec = ModelSpec()
    """Head and network."""
    train: TrainSpec = TrainSpec()
    """How it learns."""
    compress: CompressSpec = CompressSpec()
    """Which artifacts are made."""
    device_classes: dict[ClassName, DeviceClass] = {}
    """What classes of devices can bear, by name, as `targets.<channel>.classes` names them."""
    targets: dict[str, TargetSpec] = Field(min_length=1)
    """The channels that the chosen artifacts are promoted to."""

    @model_validator(mode="wrap")
    @classmethod
    def _narrow(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Checks a document by the sections that go with its kind and form."""
        if cls is not Recipe or not isinstance(value, Mapping):
            return handler(value)
        chosen = choose_form(value)
        if isinstance(chosen, RecipeFault):
            raise ValueError(str(chosen))  # noqa: TRY004 - pydantic takes no other
        narrowed: Any = narrow_recipe(*chosen).model_validate(value)
        return cast(Self, narrowed)

    @property
    def objective(self) -> str:
        """Name of what is asked of the rows, as `classes` or `forecast`."""
        return KINDS.find(self.kind).objective

    @property
    def parts(self) -> tuple[str, ...]:
        """Modules of code that lay beside the recipe, named by the digests of their bytes."""
        found = re.findall(
            rf"\b{PREFIX}[0-9a-f]{{64}}(?=:)", canonical_json(self.document).decode()
        )
        return tuple(dict.fromkeys(found))

    @property
    def is_raced(self) -> bool:
        """Whether a race chooses the network."""
        return self.model.network.family == AUTO

    @property
    def digest(self) -> str:
        """sha256 of the canonical recipe: every setting, defaults written out, secrets left out."""
        return sha256_bytes(canonical_json(self.document))

    @property
    def document(self) -> dict[str, Any]:
        """The recipe as plain data: defaults are written out, what may be secret is masked."""
        document: dict[str, Any] = self.model_dump(mode="json")
        # Options have been masked by the source, which knows them.
        return {**document, **{name: _redact(document[name]) for name in _OF_ADDRESSES}}

    def pin_start(self, start: StartRecord | None) -> "Recipe":
        """Return the recipe with the weights that it starts from named by digest or whole id.

        So the receipt says which they were, and a run that was lost goes on from the same.
        """
        if start is None or self.train.start_from is None:
            return self
        named = (
            {"sha256": start.sha256}
            if self.train.start_from.model is None
            else {"model": start.model}
        )
        pinned = self.train.start_from.model_copy(update=named)
        return self.model_copy(
            update={"train": self.train.model_copy(update={"start_from": pinned})}
        )


def choose_form(document: Mapping[str, Any]) -> tuple[str, str] | RecipeFault:
    """Return the kind of a recipe and the form of its rows, or the fault that hides them.

    Args:
        document: The recipe as it was written.
    """
    name = document.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        close = difflib.get_close_matches(str(name), list(KINDS), n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        remedy = f"{hint}choose one of {', '.join(KINDS)}"
        got = "absent" if name is None else show_value(name)
        return RecipeFault("kind", got, "be a known kind", remedy)
    forms = KINDS.find(name).forms
    data = document.get("data")
    form = data.get("kind", forms[0]) if isinstance(data, Mapping) else forms[0]
    if form not in forms:
        remedy = f"write {' or '.join(forms)}, or another kind of recipe"
        return RecipeFault("data.kind", show_value(form), f"suit kind {name}", remedy)
    return name, form


@cache
def narrow_recipe(kind: str, form: str) -> type[Recipe]:
    """Return the recipe type of one kind and form, which has the sections that go with them.

    Args:
        kind: Name of a kind, as in `flows.kinds.KINDS`.
        form: Name of one of its forms.
    """
    gates = gates_for_objective(KINDS.find(kind).objective)
    sections: dict[str, Any] = {"data": (FORMS.find(form).spec, ...), "gates": (gates, gates())}
    narrowed: type[Recipe] = create_model("Recipe", __base__=Recipe, **sections)
    return narrowed


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _redact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redact(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value
