"""Requests with rows of steps to come, through an endpoint and through a device's agent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.edge.policy import parse_policy
from deployments.targets.edge.recorder import SpoolRecorder
from deployments.targets.edge.spool import Spool
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.text_style import TextStyle
from tests.deployments.targets.run.forms.test_rows import make_card
from tests.deployments.targets.serve.asking import Held, Node, make_live

LOOKBACK, AHEAD = 3, 2
TIME = ColumnSpec(name="day", is_time=True)
SALES = InputSpec(
    form="series",
    name="window",
    dtype="float64",
    shape=(LOOKBACK + AHEAD, 3),
    columns=(
        ColumnSpec(name="sales"),
        ColumnSpec(name="offer"),
        ColumnSpec(name="shop", vocabulary=("north", "south")),
    ),
    entity="shop",
    time=TIME,
    max_gap_steps=1.5,
    ahead=AHEAD,
    known=("offer",),
    file_style=TextStyle(),
)


FIRST_DAY = (np.datetime64("2026-03-01") - np.datetime64("1970-01-01")).astype(int)


def list_rows(ahead: int = AHEAD) -> list[dict[str, Any]]:
    """Six days of a shop, the last ones to come."""
    return [
        {
            "day": f"2026-03-0{day}",
            "shop": "south",
            "sales": None if day > 6 - ahead else 10.0 * day,
            "offer": day % 2,
        }
        for day in range(1, 7)
    ]


def write_csv(rows: list[dict[str, Any]]) -> bytes:
    lines = [
        ",".join("" if value is None else str(value) for value in row.values()) for row in rows
    ]
    return "\n".join([",".join(rows[0]), *lines]).encode()


def list_window() -> np.ndarray:
    days = np.arange(2, 7)
    sales = np.where(days > 4, np.nan, 10.0 * days)
    return np.stack([sales, days % 2, np.ones(len(days))], 1)


def make_tensor(window: np.ndarray) -> dict[str, Any]:
    data = [None if np.isnan(value) else value for value in window.reshape(-1).tolist()]
    given = {"name": "window", "shape": [1, *window.shape], "datatype": "FP64", "data": data}
    return {"inputs": [given]}


def check_answer(node: Node) -> None:
    """CSV, JSON and a tensor are one question; a file that ends today is none."""
    want = float(np.nansum(list_window()))
    csv = node.post("/predict/x", write_csv(list_rows()), "text/csv")
    objects = node.post("/predict/x", list_rows(), "application/json")
    inferred = node.post("/v2/models/x/infer", make_tensor(list_window()), "application/json")
    assert [csv.status, objects.status, inferred.status] == [200, 200, 200]
    for reply in (csv, objects):
        (said,) = reply.json["predictions"]
        assert said["value"] == pytest.approx(want, rel=1e-6)
    assert inferred.json["outputs"][0]["data"] == [pytest.approx(want, rel=1e-6)]
    present = node.post("/predict/x", write_csv(list_rows(ahead=0)), "text/csv")
    assert present.status == 422
    assert b"must end with 2 rows of the steps to come" in present.body
    assert b"got values of sales" in present.body
    filled = make_tensor(np.nan_to_num(list_window()))
    refused = node.post("/v2/models/x/infer", filled, "application/json")
    assert refused.status == 400
    assert b"got values of sales" in refused.body


def test_an_endpoint_is_asked_with_the_steps_to_come() -> None:
    check_answer(Node(Held(make_live(make_card(SALES)))))


def test_an_agent_keeps_the_steps_to_come_as_they_were_asked(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", 2**20)
    recorder = SpoolRecorder("d1", spool, parse_policy("all"), now=lambda: datetime.now(UTC))
    try:
        check_answer(Node(Held(make_live(make_card(SALES))), recorder=recorder))
        kept = spool.read_rows(1, 99)
    finally:
        spool.close()
    assert [row.answer_id for row in kept] == ["d1:1", "d1:2", "d1:3"]
    for row in kept:
        window = np.frombuffer(row.data, row.dtype).reshape(LOOKBACK + AHEAD, 3)
        np.testing.assert_array_equal(window, list_window())
        days = row.times and (np.frombuffer(row.times) / 86_400 - FIRST_DAY).tolist()
        assert days == (None if row.sequence == 3 else [1, 2, 3, 4, 5])
