"""What gates cost beside the writing that they guard: `python -m benchmarks.gates`.

Suites that the stored statistics answer are held against the time to write the data; expectations
that read rows, and the whole default gate, are given a million rows.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fault_data import Feed, collect
from benchmarks.fault_feeds import load_mnist
from benchmarks.results import describe_machine, make_table, write_section
from gates.engine.custom import ROWS, OwnExpectation, build_own_suite
from gates.engine.judge import run_suite
from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.table import TableSpec
from storage.pipeline.derived import measure_derived
from storage.shards.entry import Span
from storage.shards.row_ids import hash_contents, hash_row_ids
from storage.shards.writing import write_shard
from tasks.gates.accepted import Accepted
from tasks.gates.own_suites import draft_suite
from tasks.gates.raw import judge_version
from tasks.gates.row_table import open_rows

IMAGES, TABLE_ROWS, SHARD_ROWS = 60_000, 10_000_000, 200_000
GOAL = 0.05
SPEC = TableSpec(numbers=("a", "b", "c", "d", "e"), target="y")


def write_table(folder: Path, rows: int) -> Version:
    """Rows of five columns and a target, in shards as collecting makes them."""
    dataset = Dataset(Store(str(folder)), "table-raw")
    entries = []
    columns = {"numbers": SPEC.numbers, "numbers__valid": SPEC.numbers}
    for start in range(0, rows, SHARD_ROWS):
        count = min(SHARD_ROWS, rows - start)
        numbers = np.random.default_rng(start).normal(20, 5, (count, len(SPEC.numbers)))
        found = {
            "numbers": numbers,
            "numbers__valid": np.ones(numbers.shape, np.bool_),
            "target": numbers.sum(axis=1),
        }
        found["target__valid"] = np.ones(count, np.bool_)
        keys = {
            "content_hash": hash_contents(found),
            "row_id": hash_row_ids("rows", range(start, start + count)),
        }
        span = (Span(name="rows", start=start, stop=start + count),)
        derived = measure_derived(found, columns)
        entries.append(
            write_shard(
                dataset.shards, {**found, **keys}, source=span, columns=columns, statistics=derived
            )
        )
    return dataset.commit(entries, kind="raw", parent=None)


def draft_from_statistics(version: Version, data: RowsSpec) -> list[OwnExpectation]:
    """Presence and range of every column of which the manifest has both."""
    known = {column for shard in open_rows(version, data).shards for column in shard.statistics}
    rules = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_between")
    drafted = [
        OwnExpectation(
            type=entry["type"],
            kwargs={key: value for key, value in entry["kwargs"].items() if key != "mostly"},
        )
        for entry in draft_suite(version, data)["expectations"]
    ]
    return [
        item
        for item in drafted
        if item.type in rules
        and item.kwargs["column"] in known
        and "flat" not in str(item.kwargs["column"])
    ]


def clock(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of some calls."""
    spent = []
    for _ in range(times):
        started = time.monotonic()
        work()
        spent.append(time.monotonic() - started)
    return min(spent)


def measure(
    name: str, version: Version, data: RowsSpec, written_s: float, column: str
) -> list[list[str]]:
    """Figures of one data set."""
    table = open_rows(version, data)
    suite = build_own_suite(draft_from_statistics(version, data), "bench")
    report = run_suite(suite, {ROWS: table})
    if not report.passed:
        raise RuntimeError(f"the suite must pass what it was drafted from; got {report.reasons}")
    known_s = clock(lambda: run_suite(suite, {ROWS: table}))
    row_level = {
        "range, values past it": ("expect_column_values_to_be_between", {"max_value": 21}),
        "mean": ("expect_column_mean_to_be_between", {"min_value": 0}),
        "quantiles": (
            "expect_column_quantile_values_to_be_between",
            {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1000]]}},
        ),
    }
    millions = version.rows / 1e6
    written = f"{written_s:.1f} s to write {version.rows:,} rows"
    share = known_s / written_s
    figures = [
        [
            f"{name}: {len(suite.expectations)} expectations from statistics",
            f"{known_s:.2f} s",
            written,
            f"{share:.1%}",
        ]
    ]
    for label, (rule, limits) in row_level.items():
        item = OwnExpectation.model_validate({"type": rule, "kwargs": {"column": column, **limits}})
        one = build_own_suite([item], "bench")
        spent = clock(lambda one=one: run_suite(one, {ROWS: table}), 1)
        figures.append(
            [
                f"{name}: {label}, reading rows",
                f"{spent:.2f} s",
                f"{spent / millions:.2f} s a million rows",
                "",
            ]
        )
    spent = clock(lambda: judge_version(version, data, GatesSpec(), Accepted(None, "first")), 1)
    figures.append(
        [
            f"{name}: the whole default raw gate",
            f"{spent:.2f} s",
            f"{spent / millions:.2f} s a million rows",
            f"{spent / written_s:.1%}",
        ]
    )
    return figures


def main() -> None:
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as root:
        feed: Feed = load_mnist(IMAGES)
        started = time.monotonic()
        version = collect(feed, Path(root) / "images" / "files")
        rows += measure(
            "images", version, feed.data, time.monotonic() - started, "image.brightness"
        )
        started = time.monotonic()
        version = write_table(Path(root) / "table", TABLE_ROWS)
        rows += measure("table", version, SPEC, time.monotonic() - started, "a")
    body = (
        f"## Gates\n\n`python -m benchmarks.gates`: goal {GOAL:.0%} for suites that statistics "
        "answer. The default gate also looks for duplicates and leaks, which no statistics "
        "tell.\n\n"
        f"{describe_machine(['numpy', 'great-expectations'])}"
    )
    write_section(
        "gates", body + "\n\n" + make_table(["what", "time", "beside", "share of writing"], rows)
    )


if __name__ == "__main__":
    main()
