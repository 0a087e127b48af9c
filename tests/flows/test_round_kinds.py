"""A table and a forecast go round, too, with real data and real processes.

Rows that the first model has not learned from are asked about after their sensors have shifted; the
truth of a table is told, that of a forecast is in the windows that come later.
"""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.fleet.agents import AgentPlan, start_agents
from deployments.targets.fleet.children import Children
from deployments.targets.fleet.device import Reply
from deployments.targets.fleet.evidence import read_arrived, read_cleared
from deployments.targets.fleet.ledger import Sample
from storage.base.store import Store
from tests.conftest import SHARED_DATA
from tests.flows.test_round import ENTRY, judge, wait_empty, wait_release, write_recipe

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
Table = tuple[list[str], list[list[str]]]


def read_table(*parts: str) -> Table:
    """A gzipped CSV of real data: header and rows."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"{'/'.join(parts)} is not on this machine")
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def write_csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode()


def write_source(folder: Path, data: bytes) -> dict[str, str]:
    """Data as a file, and the section that reads it."""
    path = folder / "source.csv"
    path.write_bytes(data)
    return {"type": "csv", "url": str(path)}


class Loop:
    """One recipe's first model, and one agent that answers with it."""

    def __init__(self, recipe: Path, channel: str, folder: Path, stack: ExitStack) -> None:
        self.recipe, self.channel = recipe, channel
        self.workspace = folder / "work space"
        children = stack.enter_context(Children(ENTRY, folder / "logs"))
        command = ("run", str(recipe), "--workspace", str(self.workspace), "--json")
        self.first = json.loads(children.start("run", *command).finish(1800))["model_id"]
        plan = AgentPlan(str(self.workspace), channel, "default", folder / "fleet", 0.5)
        (self.device,) = start_agents(plan, ["d1"], children, lambda done, what: None)
        stack.callback(self.device.node.close)
        self.answer_ids: list[str] = []

    def ask(self, body: bytes) -> list[Reply]:
        replies = self.device.node.ask_all(self.channel, Sample(body, "text/csv"))
        self.answer_ids += [reply.answer_id for reply in replies]
        return replies

    def judge(self, *options: str) -> dict[str, Any]:
        wait_empty(self.device)
        return judge(self.recipe, self.workspace, *options)

    def expect_all(self) -> None:
        """What was acknowledged arrived once, and every model has a receipt."""
        wait_empty(self.device)
        arrived = read_arrived(Store(self.workspace), ["d1"])
        assert not arrived.refused
        assert sorted(arrived.answers) == sorted(self.answer_ids)
        cleared = read_cleared(Store(self.workspace))
        assert {self.first, self.device.look()[0].model_id} <= cleared


def shift_row(header: list[str], row: list[str]) -> list[str]:
    """The same machine behind a sensor that was mounted anew: torque reads in other units."""
    values = dict(zip(header, row, strict=True))
    values["Torque [Nm]"] = f"{float(values['Torque [Nm]']) * 0.6:.1f}"
    return [values[name] for name in header]


def test_a_table_goes_round(tmp_path: Path, prefect_url: str) -> None:
    header, rows = read_table("ai4i2020", "ai4i2020.csv.gz")
    place = header.index("Machine_failure")
    # Of every ten rows, three come later.
    old = [row for number, row in enumerate(rows) if number % 10 < 7]
    new = [row for number, row in enumerate(rows) if number % 10 >= 7]
    changes = {
        "source": write_source(tmp_path, write_csv(header, old)),
        "gates.raw": {"min_class_balance": 0.02},
        "gates.model": {
            "min_accuracy": 0.9,
            "min_gain_over_majority": None,
            "min_average_precision": 0.5,
            "min_slice_accuracy": 0.3,
        },
    }
    recipe = write_recipe(tmp_path, "machine-failure", changes)
    with ExitStack() as stack:
        loop = Loop(recipe, "failure-edge", tmp_path, stack)
        shifted = [shift_row(header, row) for row in new]
        replies = [
            reply
            for start in range(0, len(shifted), 200)
            for reply in loop.ask(write_csv(header, shifted[start : start + 200]))
        ]
        truths = tmp_path / "truths.csv"
        pairs = [(reply.answer_id, row[place]) for reply, row in zip(replies, new, strict=True)]
        truths.write_bytes(write_csv(("answer_id", "truth"), pairs))
        said = loop.judge("--truth", str(truths))
        assert (said["collected"], said["decision"]) == (len(new), "retrain"), said
        wait_release(loop.device, 2)
        loop.ask(write_csv(header, shifted[:5]))
        loop.expect_all()


def test_a_forecast_goes_round(tmp_path: Path, prefect_url: str) -> None:
    header, rows = read_table("ett", "ETTh1.csv.gz")
    last = next(number for number, row in enumerate(rows) if row[0] >= "2018-02-21")
    changes = {
        "source": write_source(tmp_path, write_csv(header, rows[:last])),
        "gates.model": {"max_rmse": 5.0, "min_skill": -1.0, "max_worse_slices": 1.0},
    }
    recipe = write_recipe(tmp_path, "transformer-temperature", changes)
    with ExitStack() as stack:
        loop = Loop(recipe, "temperature-edge", tmp_path, stack)
        # After that, the load of the transformer swings with another rhythm: every second day is
        # doubled.
        later = [
            [row[0], *(f"{float(value) * (1 + (number // 24) % 2):.4f}" for value in row[1:])]
            for number, row in enumerate(rows[last:])
        ]
        for end in range(96, len(later), 12):
            loop.ask(write_csv(header, later[end - 96 : end]))
        said = loop.judge()
        assert said["decision"] == "retrain", said
        wait_release(loop.device, 2)
        loop.ask(write_csv(header, later[-96:]))
        loop.expect_all()
