"""YAML is read as its usual reader does, but nothing in it is lost, and nothing blows up."""

import os
from pathlib import Path

import pytest
import yaml

from flows.errors import RecipeError
from flows.recipe.document import DocumentError, read_document
from flows.recipe.load import load_recipe
from lepton_ai.commands.run import parse_settings

RECIPES = sorted(Path(__file__).resolve().parents[3].glob("flows/recipes/*.yaml"))
ALIASES = "a0: &a0 [x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipes_read_as_by_the_usual_reader(path: Path) -> None:
    text = path.read_text("utf-8")
    assert read_document(text).value == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "[a, 2.5, .5, 1., -2.5e+3, .inf, -.INF, 0x1F, 010, 0b11, 1_000, -7, 0, 09, 1e3, a_1]",
        "[yes, No, TRUE, off, ~, null, '', 'yes', \"1\", '~', !!str 3, !!int 3, !!float 2.0]",
        "base: &b {x: 1, y: {z: 2}}\nc: {<<: *b, y: 3}\nd: {<<: [*b, {x: 9, w: 1}], v: *b}",
        "a: |\n  two\n  lines\nb: >-\n  one\n  line\nc:\n- d\n- e: f\n  g:\n",
        "",
        "alone",
    ],
)
def test_values_read_as_by_the_usual_reader(text: str) -> None:
    assert read_document(text).value == yaml.safe_load(text)


def test_a_date_stays_the_text_that_a_recipe_takes() -> None:
    assert read_document("{end: 2017-07-01, from: 2017-13-45, at: 12:30}").value == {
        "end": "2017-07-01",
        "from": "2017-13-45",
        "at": "12:30",
    }


def test_every_key_and_item_has_its_line() -> None:
    assert read_document("a:\n  b: 1\n  c:\n  - d\n  - e: 2\n").lines == {
        "a": 1,
        "a.b": 2,
        "a.c": 3,
        "a.c.0": 4,
        "a.c.1": 5,
        "a.c.1.e": 5,
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gates: {raw: 1}\nb: 2\ngates: {model: 3}", [("gates", 3, "lines 1 and 3")]),
        ("a: {b: 1, 'b': 2}", [("a.b", 1, "lines 1 and 1")]),
        ("a:\n- b: 1\n  b: 2\nc: 1\nc: 2", [("a.0.b", 3, ""), ("c", 5, "")]),
        ("a: 1\na: 2\na: 3", [("a", 2, "lines 1 and 2"), ("a", 3, "lines 2 and 3")]),
        ("x: &x {y: 1}\na: {<<: *x, <<: *x}", [("a.<<", 2, "")]),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, found: list[tuple[str, int, str]]) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text)
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [
        (path, line) for path, line, _ in found
    ]
    for fault, (_, _, lines) in zip(caught.value.faults, found, strict=True):
        assert lines in fault.got


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ALIASES, "at most 30000 values"),
        ("- 1\n" * 40_000, "at most 30000 values"),
        ("a: &a [*a]", "no alias of itself"),
        ("a: &a\n  <<: *a\n", "no alias of itself"),
        ("&a [{b: *a}]", "no alias of itself"),
        ("[" * 100_000, "50 deep"),
        ("{a: " * 100_000, "50 deep"),
        ("- " * 100_000, "50 deep"),
        ("a:\n" + "".join(" " * n + "a:\n" for n in range(1, 300)), "50 deep"),
        ("a: " + "9" * 5000, "64 bits"),
        ("a: 0x" + "f" * 100_000, "64 bits"),
        ("a: -0b" + "1" * 100, "64 bits"),
        ("a: " + "x" * (1 << 21), "characters long"),
        ("a: 1\n---\nb: 2", "one document"),
        ("1: 2", "texts as keys"),
        ("yes: 2", "texts as keys"),
        ("[a]: 2", "texts as keys"),
        ("a: !!int b", "its tag int"),
        ("a: !!python/object/apply:os.system [ls]", "without a tag"),
        ("a: !!timestamp 2017-13-45", "without a tag"),
        ("a: !!binary ====", "without a tag"),
        ("a: {<<: 3}", "be sections"),
        ("a: *b", "anchor before it"),
        ("a: [1", "valid YAML"),
        ("a: \x07", "valid YAML"),
        ("a: \ud800", "valid text"),
    ],
    ids=lambda value: value[:12],
)
def test_a_text_that_could_not_be_a_recipe_is_refused(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        read_document(text)


@pytest.mark.parametrize(
    "value",
    [
        "*hunter2",
        "!hunter2",
        "!hunter2! x",
        "&hunter2 'x",
        "'hunter2",
        '"hunter2\\q"',
        "[hunter2",
        "@hunter2",
        "%hunter2",
        "`hunter2",
        "hunter2: x: y",
        "!!hunter2 x",
        "{hunter2",
    ],
)
def test_a_fault_of_the_syntax_quotes_no_value(value: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"source: {{options: {{secret: {value}}}}}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.yaml")
    for path, said in ((tmp_path / "r.yaml", "a pipe"), (tmp_path, "a folder")):
        with pytest.raises(RecipeError, match=said):
            load_recipe(f"{path}/" if path == tmp_path else str(path))
    (tmp_path / "long.yaml").write_text("#" * (1 << 21))
    with pytest.raises(RecipeError, match="2097152 bytes"):
        load_recipe(str(tmp_path / "long.yaml"))


def test_sections_that_are_merged_do_not_multiply() -> None:
    assert read_document(MERGES).value["a29"] == {"x": 1}


def test_settings_of_the_command_line_are_read_alike() -> None:
    assert parse_settings(["a.b=2017-07-01", "c={d: [1, x]}"]) == {
        "a.b": "2017-07-01",
        "c": {"d": [1, "x"]},
    }
