"""The section of recipes: what was not measured again stays, and says of itself when and on what it
was measured.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import recipes, results
from benchmarks.recipe_table import (
    COLUMNS,
    NOT_SAID,
    STATE,
    WIDEST,
    Entry,
    merge_entries,
    parse_section,
    show_curve,
    show_section,
)

STATES = {"digits": "aaaa1111", "cifar": "bbbb2222", "photos": "cccc3333"}


def make_entry(
    name: str, *, measured: str = "2026-01-02 03:04 UTC", curve: str = "", **cells: str
) -> Entry:
    row = {column: f"{column} of {name}" for column in COLUMNS}
    return Entry({**row, "recipe": name, "measured": measured, STATE: STATES[name], **cells}, curve)


def make_points(
    values: list[float], *, name: str = "accuracy", cpu_s: float | None = None
) -> list[dict[str, Any]]:
    spent = [] if cpu_s is None else [{"name": "cpu_s", "value": cpu_s, "split": ""}]
    return [
        {"epoch": epoch, "figures": [{"name": name, "value": value, "split": "validation"}, *spent]}
        for epoch, value in enumerate(values)
    ]


def test_what_is_shown_is_read_back() -> None:
    curve = show_curve({0: make_points([0.5, 0.75], cpu_s=90.0)})
    entries = {
        "digits": make_entry(
            "digits", on="2 x A | B processor", settings="train.max_epochs=3, x=|"
        ),
        "cifar": make_entry("cifar", curve=curve),
        "photos": make_entry("photos", curve=curve.replace("0.7500", "0.1234")),
    }
    text = show_section(entries, {"cifar": "what others report: | 91 % |", "mnist": "has no row"})
    assert parse_section(text) == entries
    assert "- cifar: what others report: | 91 % |" in text
    assert "has no row" not in text
    assert show_section(parse_section(text), {}) == show_section(entries, {})


def test_rows_of_recipes_that_were_not_run_stay_with_their_own_date() -> None:
    kept = {
        name: make_entry(name, curve=f"curve of {name}") for name in ("cifar", "digits", "photos")
    }
    new = {"cifar": make_entry("cifar", measured="2026-05-06 07:08 UTC")}
    merged = merge_entries(kept, new, ["digits", "cifar"], STATES)
    assert list(merged) == ["digits", "cifar"]
    assert merged["digits"] == kept["digits"]
    assert merged["cifar"] == new["cifar"]
    assert not merged["cifar"].curve


def test_a_row_of_a_recipe_that_was_changed_since_says_so_until_it_is_changed_back() -> None:
    kept = {"digits": make_entry("digits")}
    changed = merge_entries(kept, {}, ["digits"], {"digits": "dddd4444"})
    again = merge_entries(changed, {}, ["digits"], {"digits": "eeee5555"})
    assert (
        changed["digits"].cells[STATE] == again["digits"].cells[STATE] == "aaaa1111, since changed"
    )
    assert merge_entries(again, {}, ["digits"], STATES) == kept
    old = {"digits": make_entry("digits", **{STATE: NOT_SAID})}
    assert merge_entries(old, {}, ["digits"], STATES) == old


def test_an_older_form_of_the_table_is_read_and_what_it_lacks_is_not_said() -> None:
    old = "| recipe | mean | goal |\n| --- | ---: | ---: |\n| digits | 1.0 | none |"
    found = parse_section(
        f"## Recipes\n\nMeasured somewhere.\n\n{old}\n\nPublished:\n\n- digits: x"
    )
    assert list(found) == ["digits"]
    cells = found["digits"].cells
    assert (cells["mean"], cells["goal"], cells["measured"], cells[STATE]) == (
        "1.0",
        "none",
        NOT_SAID,
        NOT_SAID,
    )
    assert parse_section("") == {}


def test_a_curve_holds_every_seed_and_the_first_ones_processor_time() -> None:
    curve = show_curve(
        {0: make_points([0.5, 0.75], cpu_s=90.0), 3: make_points([0.6], cpu_s=1.0), 4: []}
    )
    lines = [re.split(r" *\| *", line)[1:-1] for line in curve.splitlines() if line.startswith("|")]
    assert lines[0] == ["epoch", "1", "2"]
    assert lines[2:] == [
        ["CPU min", "1.5", "3.0"],
        ["seed 0", "0.5000", "0.7500"],
        ["seed 3", "0.6000", ""],
    ]
    assert curve.startswith("Validation accuracy")
    assert show_curve({0: []}) == show_curve({}) == ""


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    errors = make_points([1 / (epoch + 1) for epoch in range(100)], name="error")
    lines = [
        re.split(r" *\| *", line)[1:-1]
        for line in show_curve({0: errors}).splitlines()
        if line.startswith("|")
    ]
    assert len(lines[0]) == 1 + WIDEST
    assert (lines[0][1], lines[0][-1]) == ("1", "100")
    assert (lines[-1][1], lines[-1][-1]) == ("1.0000", "0.0100")
    assert set(lines[2][1:]) == {""}


def test_the_command_replaces_the_rows_of_what_it_ran_and_keeps_the_file_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    results.write_section("Other", "## Other\n\nfigures")
    case = next(case for case in recipes.CASES if case.recipe == "digits")
    points = make_points([0.9, 0.95], cpu_s=30.0)

    def measure(name: str, accuracy: float, settings: list[str]) -> None:
        summary = {
            "metrics": {"accuracy": accuracy, "majority_accuracy": 0.1},
            "status": "promoted",
        }
        entry = recipes.describe_case(
            case, [recipes.Run(5, summary, points, 120.0)], None, None, settings
        )
        recipes.write_results({name: Entry({**entry.cells, "recipe": name}, entry.curve)})

    measure("digits", 0.99, [])
    measure("mnist", 0.98, ["train.max_epochs=1"])
    before = parse_section(results.read_section(recipes.SECTION))
    measure("mnist", 0.97, [])
    after = parse_section(results.read_section(recipes.SECTION))
    assert (after["digits"], list(after)) == (before["digits"], ["digits", "mnist"])
    assert after["digits"].cells[STATE] == recipes.identify_recipe("digits")
    assert [entries["mnist"].cells["mean"] for entries in (before, after)] == ["0.9800", "0.9700"]
    assert [entries["mnist"].cells["settings"] for entries in (before, after)] == [
        "train.max_epochs=1",
        "its own",
    ]
    assert after["mnist"].cells["seeds"] == "5"
    assert after["mnist"].cells["goal"] == "0.985 missed"
    assert "seed 5" in after["mnist"].curve
    assert results.read_section("Other") == "## Other\n\nfigures"
