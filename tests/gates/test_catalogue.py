from pathlib import Path

from gates.catalogue.entries import list_entries
from gates.catalogue.examples import EXAMPLES
from gates.catalogue.page import format_page, format_table


def test_every_stock_expectation_is_in_the_table_once():
    entries = list_entries()
    assert len(entries) == len({entry.rule for entry in entries})
    assert {entry.rule for entry in entries} == set(EXAMPLES)
    kinds = {entry.rule: entry.kind for entry in entries}
    assert kinds["expect_column_mean_to_be_between"] == "exact"
    assert kinds["expect_column_values_to_be_unique"] == "column"
    assert kinds["expect_table_row_count_to_equal_other_table"] == "refused"
    assert all(entry.reason for entry in entries if entry.kind != "exact")
    assert "| `expect_column_median_to_be_between` | `column.median` |" in format_table(entries)


def test_the_page_of_documentation_is_the_one_that_the_command_writes():
    page = Path(__file__).resolve().parents[2] / "docs" / "gates.md"
    assert page.read_text("utf-8") == format_page(
        list_entries()
    )  # else: python -m gates.catalogue docs/gates.md
