"""Windows without an answer are counted before anything is trained."""

from dataclasses import replace

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from lightning_modules.specs.window import WindowSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.gates.answers import tabulate_answers
from tests.gates.builders import find_failure, make_prepared_facts


def test_windows_without_an_answer_are_counted_and_limited(tmp_path):
    # The last fifth is held out, hours 160 to 199; of it a sensor is silent for 12 hours.
    lines = ["time,a,b"]
    for hour in range(200):
        silent = 170 <= hour < 182
        day, of_day = divmod(hour, 24)
        value = "" if silent else str(hour)
        lines.append(f"2026-01-{1 + day:02}T{of_day:02}:00:00,{value},{hour}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    split = {"by": "time", "held_out": 0.2, "validation": 0.2}
    data = SeriesSpec.model_validate({"time": "time", "numbers": ["a", "b"], "split": split})
    store = Store(str(tmp_path / "workspace"))
    source = CsvSource(url=str(tmp_path / "rows.csv"))
    raw = collect_rows(source, Dataset(store, "raw"), spec=data)
    version = prepare_rows(raw, data, Dataset(store, "prepared"))
    window = WindowSpec(lookback=6, horizon=4, targets=("a",))
    table = tabulate_answers(version, data, window)
    assert table is not None
    found = table.frame.set_index("split")
    assert found.loc["held_out", "windows"] == 37  # 40 hours, 4 of which are asked for
    # Of those that begin from hour 170 to 178 all four are silent.
    assert found.loc["held_out", "unanswered"] == 9 / 37
    assert found.loc["train", "unanswered"] == 0
    facts = replace(make_prepared_facts(), answers=table)
    message = find_failure(
        judge_prepared(PreparedGate(), facts),
        "share of a split's windows without a value to forecast",
    )
    assert "split held_out" in message
    assert "gates.prepared.max_unanswered_fraction" in message
    assert judge_prepared(PreparedGate(max_unanswered_fraction=0.3), facts).passed
    both = tabulate_answers(version, data, WindowSpec(lookback=6, horizon=4))
    assert both is not None
    assert both.frame["unanswered"].max() == 0
    assert tabulate_answers(version, data, None) is None
    too_long = tabulate_answers(version, data, WindowSpec(lookback=6, horizon=60))
    few = judge_prepared(PreparedGate(), replace(facts, answers=too_long))
    assert "gates.prepared.min_windows" in find_failure(few, "windows in a split")
