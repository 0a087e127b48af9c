"""A recipe is narrowed by its kind and form, in whatever way it arrives, and describes itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flows.lifecycle import lifecycle
from flows.recipe.load import list_recipes, load_recipe
from flows.recipe.model import Recipe, narrow_recipe


@pytest.mark.parametrize("name", list_recipes())
def test_a_document_becomes_the_recipe_of_its_kind_again(name: str) -> None:
    recipe = load_recipe(name)
    found = Recipe.model_validate(yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json"))))
    assert type(found) is narrow_recipe(recipe.kind, recipe.data.kind)
    assert found == recipe
    assert found.digest == recipe.digest
    assert type(found.gates.model) is type(recipe.gates.model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "poetry"}, "kind ('poetry') must be a known kind"),
        ({"data": {"kind": "series"}}, "data.kind ('series') must suit kind image-classification"),
        ({"gates": {"model": {"max_mae": 3}}}, "max_mae"),
    ],
)
def test_a_document_of_no_kind_is_refused(change: dict[str, Any], said: str) -> None:
    document = load_recipe("digits").model_dump(mode="json")
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({**document, **change})
    assert said in str(caught.value)


def list_untold(schema: Any, told: set[str], path: str = "") -> Iterator[str]:
    """Dotted paths of all properties in a JSON schema that have no description.

    Of a section it may be the section's own, which stands where the property refers to.
    """
    if isinstance(schema, list):
        for entry in schema:
            yield from list_untold(entry, told, path)
    if not isinstance(schema, dict):
        return
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("description") and inner.get("$ref", "").rpartition("/")[2] not in told:
            yield f"{path}.{name}"
    for name, inner in schema.items():
        yield from list_untold(inner, told, f"{path}.{name}" if name != "properties" else path)


def list_told(definitions: dict[str, Any]) -> set[str]:
    return {name for name, section in definitions.items() if section.get("description")}


def test_every_field_of_every_section_is_described() -> None:
    schema = Recipe.model_json_schema()
    assert list(list_untold(schema, list_told(schema["$defs"]))) == []
    assert len(schema["$defs"]) > 20


def test_the_form_in_the_prefect_ui_describes_every_field() -> None:
    schema = lifecycle.parameters.model_dump()
    assert set(schema["properties"]) >= {"recipe", "workspace", "overrides"}
    assert list(list_untold(schema, list_told(schema["definitions"]))) == []


def test_the_schema_names_the_kinds_and_the_sections_of_every_form() -> None:
    schema = Recipe.model_json_schema()
    assert "forecasting" in schema["properties"]["kind"]["enum"]
    sections = {choice["title"] for choice in schema["properties"]["data"]["anyOf"]}
    assert sections >= {"ImageSpec", "TableSpec", "SeriesSpec"}
