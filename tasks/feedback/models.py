"""Knows the models of a workspace: whose recipe they are, and what they were asked."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deployments.targets.trust.card import InputSpec, OutputSpec
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from storage.base.errors import Corrupt
from storage.base.figures import find_value
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from storage.records.receipts import Receipt
from tasks.data.open_versions import open_version
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.gates.accepted import parse_data
from tasks.objectives.registry import find_objective
from tasks.runtime.errors import StartError
from tasks.training.start import find_model


@dataclass(frozen=True)
class KnownModel:
    """A promoted model, as its signed receipt tells it."""

    store: Store
    receipt: Receipt

    @property
    def id(self) -> str:
        """The model's whole id."""
        return self.receipt.model_id or ""

    @property
    def recipe(self) -> str:
        """Name of the recipe that it was made by."""
        return str(self.receipt.recipe.get("name"))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The recipe that it was made by, as plain data."""
        found = self.receipt.recipe.get("document")
        if not isinstance(found, dict):
            raise Corrupt(
                f"receipt ({self.receipt.id}) must hold its recipe; got none; run it again"
            )
        return dict(found)

    @cached_property
    def data(self) -> RowsSpec:
        """The data section of that recipe."""
        return parse_data(self.document["data"])

    @cached_property
    def spec(self) -> ModelSpec:
        """The model section of that recipe."""
        return ModelSpec.model_validate(self.document["model"])

    @property
    def objective(self) -> str:
        """What it is asked, as "classes"."""
        return self.receipt.model.objective if self.receipt.model is not None else ""

    @property
    def is_standard(self) -> bool:
        """Whether its figures are in standard deviations of the training rows."""
        return self.spec.figures_in == "standard"

    @cached_property
    def raw(self) -> Version:
        """The raw version that it learned from."""
        return open_version(self.store, self.receipt.datasets["raw"])

    @cached_property
    def prepared(self) -> Version:
        """The prepared version that it learned from."""
        return open_version(self.store, self.receipt.datasets["prepared"])

    @cached_property
    def sample(self) -> Sample:
        """What one sample of it is."""
        fitted = Fitted.model_validate(self.prepared.info["fitted"])
        sample = describe_sample(self.objective, self.data, self.spec, fitted, self.prepared)
        chosen = find_value(self.receipt.figures, "threshold")
        return sample if chosen is None else sample.model_copy(update={"threshold": chosen})

    @cached_property
    def input(self) -> InputSpec:
        """What its artifacts take."""
        found: InputSpec = find_task_form(self.data).describe_input(self.sample, self.data)
        return found

    @cached_property
    def outputs(self) -> tuple[OutputSpec, ...]:
        """What its artifacts answer with."""
        return find_objective(self.sample).describe_outputs(self.sample, self.data)


@dataclass
class ModelBook:
    """Finds models by their ids, each once."""

    store: Store
    _found: dict[str, KnownModel | None] = field(default_factory=dict)

    def find(self, model_id: str) -> KnownModel | None:
        """Return a promoted model whose receipt a trusted key signed; None if there is none."""
        if model_id not in self._found:
            try:
                self._found[model_id] = KnownModel(self.store, find_model(self.store, model_id))
            except StartError:
                self._found[model_id] = None
        return self._found[model_id]

    def require(self, model_id: str) -> KnownModel:
        """Return a promoted model.

        Raises:
            StartError: There is none.
        """
        found = self.find(model_id)
        return found or KnownModel(self.store, find_model(self.store, model_id))
