"""No secret of a recipe is told in a fault, written down, hashed, or handed to Prefect."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.exceptions import ParameterTypeError
from pydantic import ValidationError

from flows.errors import RecipeError
from flows.lifecycle import FLOW, lifecycle
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.recipe.shown import list_known_names
from flows.run.journal import begin_journal, reopen_journal
from storage.base.errors import SourceUnavailable
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.pipeline.collecting import collect_rows
from tests.spellings import OPTIONS, SECRET, URLS

# All of them at once: each alone is tried where they are masked.
MANY = {key: inner for options in OPTIONS.values() for key, inner in options.items()}
BOTH = {"options": {"options": MANY}, "headers": {"options": OPTIONS["header"]}} | {
    f"url {name}": {"url": URLS[name]} for name in ("slash", "no scheme", "fragment", "query")
}
spelt = pytest.mark.parametrize("source", BOTH.values(), ids=list(BOTH))


def write(source: Mapping[str, Any], /, **changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "t",
        "kind": "tabular-classification",
        "source": {"type": "csv", "url": "d.csv", **source},
        "data": {"kind": "table", "numbers": ["x"], "label": "y", "labels": ["a", "b"]},
        "model": {"network": {"family": "mlp"}},
        "targets": {"edge": {}},
        **changes,
    }


def spoil(source: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Slips of the pen around a secret: each recipe is refused, and its fault must not quote it."""
    url, options = source.get("url", "d.csv"), source.get("options", {})
    yield write({**source, "type": "cvs"})
    yield write({**source, "colour": url, **options})
    yield write({"url": {"url": url, **options}})
    yield write({"options": f"{url} {json.dumps(options)}"})
    yield write({"options": [options, url]})
    yield write({**source, "options": {**options, "url": url, "day": {1, 2}}})
    yield write(source, source=[options, url])
    yield write(source, source=f"{url} {options}")
    yield write(source, soruce={"url": url, **options})
    yield write(source, kind={"kind": url, **options})
    yield write(source, data={"kind": {"x": url, **options}})
    yield write(source, format={"x": url, **options})
    yield write(source, targets={"edge": {**options, "x": url}})
    yield write(source, model={"network": {"family": "mlp", "params": {**options, "x": url}}})
    yield write(source, train={"start_from": {"url": url, **options, "colour": url}})
    yield write(source, train={"preset": {"url": url, **options}})
    joined = {"type": "joined", "first": {"type": "csv", "url": url, "options": options, **options}}
    yield write(source, source={**joined, "dataset": {"workspace": url, **options}})


@spelt
def test_no_fault_quotes_a_secret(source: dict[str, Any]) -> None:
    told = 0
    for document in spoil(source):
        with pytest.raises(RecipeError) as caught:
            load_recipe(document)
        told += 1
        assert SECRET not in f"{caught.value} {caught.value.faults!r}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert told == 17


@pytest.mark.parametrize("source", [{"options": MANY}, *({"url": url} for url in URLS.values())])
def test_what_a_receipt_says_of_a_recipe_holds_no_secret(source: dict[str, Any]) -> None:
    recipe = load_recipe(write(source, description=f"see {source.get('url', '')}"))
    assert SECRET not in json.dumps(recipe.document)
    other = json.loads(json.dumps(source).replace(SECRET, "another"))
    assert (
        load_recipe(write(other, description=f"see {other.get('url', '')}")).digest == recipe.digest
    )
    # A recipe that is passed on keeps what it needs.
    assert SECRET in str(load_recipe(recipe, {"train.max_epochs": 3}).model_dump())


@spelt
def test_prefect_is_told_no_secret(
    source: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    dotted = {f"source.{name}": value for name, value in source.items()}
    dotted |= {f"source.options.{name}": value for name, value in source.get("options", {}).items()}
    for recipe in (write(source), load_recipe(write(source)), write(source, soruce=source)):
        given = {"recipe": recipe, "workspace": source.get("url", "w"), "overrides": dotted}
        assert SECRET not in str(lifecycle.serialize_parameters(given))
    with caplog.at_level(logging.DEBUG):
        for wrong in ({"recipe": write(source, soruce=source)}, {"workspace": source}):
            with pytest.raises((RecipeError, ParameterTypeError)) as caught:
                lifecycle.validate_parameters(wrong)
            assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text
    with pytest.raises(ValidationError) as invalid:
        Recipe.model_validate(write(source, soruce=source))
    assert SECRET not in str(invalid.value)


def test_parameters_that_are_right_reach_the_flow_whole() -> None:
    source = {"options": {"secret": SECRET}}
    given = lifecycle.validate_parameters(
        {"recipe": write(source), "workspace": Path("w").name, "overrides": {"a": {"b": 1}}}
    )
    assert isinstance(given["recipe"], Recipe)
    assert given["recipe"].source.model_dump()["options"] == source["options"]
    assert (given["workspace"], given["overrides"]) == ("w", {"a": {"b": 1}})


def test_no_field_of_a_recipe_is_called_like_a_secret() -> None:
    assert not list_known_names() & {"secret", "token", "key", "password", "headers", "auth"}
    assert len(list_known_names()) > 200


def test_unknown_keys_are_told_by_their_type(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(write({"secret": SECRET})))
    with pytest.raises(RecipeError, match=r"line \d+: source.secret \(a text\) must be a known"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match=r"source\.options\.day"):
        load_recipe(write({"options": {"day": {1}}}))


def write_rows(path: Path) -> None:
    path.write_text("x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(50)))


def test_nothing_that_a_run_writes_holds_a_secret(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    write_rows(tmp_path / "d.csv")
    options = {f"option-{number}": value for number, value in enumerate(OPTIONS.values())}
    source = {"url": f"file://{tmp_path}/d.csv", "options": options}
    start = {"url": URLS["user"]}
    recipe = load_recipe(write(source, train={"start_from": start}))
    journal = begin_journal(Store(workspace), recipe, FLOW)
    journal.write(journal.record)
    collect_rows(recipe.source, Dataset(Store(workspace), "t-raw"), None, spec=recipe.data)
    written = [path for path in workspace.rglob("*") if path.is_file()]
    assert any(path.name == "journal.json" for path in written)
    assert any("t-raw" in str(path) for path in written)
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    # What it wrote down is enough to go on, and to say what is no longer there.
    journal._unlock()
    again = reopen_journal(Store(workspace), journal.record.run, FLOW)
    assert again.recipe.digest == recipe.digest
    with pytest.raises(SourceUnavailable, match="where a secret was left out"):
        collect_rows(again.recipe.source, Dataset(Store(workspace), "t-raw"), None)
    again.remove()
