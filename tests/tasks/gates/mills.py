"""Tables and series of mills, from columns to versions, verdicts and receipts."""

from datetime import UTC, datetime, timedelta

import numpy as np

from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.records.receipt_files import write_receipt
from storage.records.receipts import CodeRecord, Receipt, SourceRecord
from storage.sources.csv import CsvSource
from storage.upkeep.quarantine import find_cleaned
from tasks.data.collect import describe_version
from tasks.gates.prepared import describe_prepared
from tasks.gates.raw import judge_version
from tasks.runtime.outcomes import Collected, Prepared

TABLE = TableSpec(numbers=("heat", "load"), texts=("kind",), label="state", labels=("good", "bad"))
SERIES = SeriesSpec(
    numbers=("flow",),
    target="level",
    time="time",
    entity="mill",
    split=SplitSpec(by="time", held_out=0.2),
)
START = datetime(2024, 1, 1)


def make_table(seed=0, rows=1200):
    rng = np.random.default_rng(seed)
    heat = rng.normal(60, 5, rows).round(2)
    return {
        "heat": heat.astype(str),
        "load": (heat * 2 + rng.normal(0, 20, rows)).round(1).astype(str),
        "kind": rng.choice(["north", "south"], rows),
        "state": np.where(rng.random(rows) < 0.2, "bad", "good"),
    }


def make_series(seed=0, rows=600):
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    level = (10 + 3 * np.sin(hours * np.pi / 12) + rng.normal(0, 0.5, rows)).round(3)
    moments = [(START + timedelta(hours=int(hour))).isoformat() for hour in hours]
    parts = {"mill": ["a"] * rows + ["b"] * rows, "time": moments * 2}
    flow = rng.normal(5, 1, 2 * rows).round(3)
    return {
        "flow": flow.astype(str),
        "level": np.concatenate([level, level + 1]).astype(str),
        **{name: np.array(values) for name, values in parts.items()},
    }


def collect(folder, columns, spec, name="mills-raw", raw_lines=()):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        ",".join(columns),
        *(",".join(row) for row in zip(*columns.values(), strict=True)),
        *raw_lines,
    ]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return collect_rows(CsvSource(url=str(folder)), Dataset(Store(folder.parent), name), spec=spec)


def judge(version, spec, **raw):
    return judge_version(version, spec, GatesSpec(raw=RawGate(**raw)))


def find_red(report):
    return {check.about for check in report.checks if check.stops}


def prepare(raw, spec):
    dataset = Dataset(raw.dataset.workspace, "mills-prepared")
    version = prepare_rows(find_cleaned(raw), spec, dataset)
    collected = Collected(source=SourceRecord(type="csv", digest=""), dataset=describe_version(raw))
    fitted = Fitted.model_validate(version.info["fitted"])
    return describe_prepared(
        version, collected, Prepared(dataset=describe_version(version), fitted=fitted), spec
    )


def write_run(store, raw, passed, spec=TABLE, minutes=0):
    gates = [
        {"stage": stage, "passed": passed.get(stage, True)}
        for stage in ("raw", "prepared", "model")
    ]
    document = {"kind": "tabular-classification", "data": spec.model_dump(mode="json"), "gates": {}}
    receipt = Receipt(
        run=f"run-{minutes}",
        flow="lifecycle",
        required_gates=("raw", "prepared", "model", "artifact"),
        status="promoted",
        created_at=datetime.now(UTC) + timedelta(minutes=minutes),
        lepton=CodeRecord(version="0", digest=""),
        packages={},
        machine={},
        recipe={"name": "mills", "document": document},
        datasets={"raw": describe_version(raw)},
        gates=gates,
    )
    write_receipt(store, receipt, lambda content: {"keyid": "k", "method": "none", "signature": ""})
