"""The runs of a workspace: those that ended, are at work, or were lost; and one page on them."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from flows.recipe.load import load_recipe
from flows.run.flow import Flow
from flows.run.journal import begin_journal
from flows.run.listing import list_runs, write_page
from storage.base.store import Store
from storage.records.receipt_files import write_receipt
from storage.records.receipts import DatasetRecord, SourceRecord
from tasks.rendering.overview import Overview, RunLine, draw_history, render_overview
from tasks.runtime.outcomes import Collected
from tests.flows.material import call
from tests.flows.run.test_summary import list_figures, make_receipt
from tests.storage.records.material import sign
from tests.tasks.rendering.material import make_check, make_report
from tests.tasks.rendering.test_render import Reader

FLOW = Flow(name="lifecycle", stages=(), required_gates=())
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def end_run(store, number, *, passed=True, accuracy=0.9, **changes):
    """Write the receipt of a run that ended so many hours after the first."""
    stopped = {} if passed else {"status": "stopped", "stopped_at": "gate model", "channels": {}}
    gates = [make_report(make_check(), stage="raw")]
    gates.append(make_report(make_check(passed=passed), stage="model"))
    facts = {
        "run": f"20260102-03040{number}-00000{number}",
        "created_at": NOW + timedelta(hours=number),
        "gates": tuple(gate.model_dump(mode="json") for gate in gates),
        "figures": list_figures({"accuracy": accuracy}, "held_out"),
        "timings": {"collect": 1.5, "train": 60.0},
        **stopped,
        **changes,
    }
    write_receipt(store, make_receipt(**facts), sign)


@pytest.fixture
def workspace(tmp_path):
    store = Store(tmp_path / "ws")
    end_run(store, 1, passed=False, accuracy=0.5)
    end_run(store, 2)
    return store


def begin(store):
    """Begin a run that has collected; its folder is locked."""
    journal = begin_journal(store, load_recipe("digits"), FLOW)
    version = DatasetRecord(name="digits-raw", number=0, digest="", manifest="", rows={"": 3})
    outcome = Collected(source=SourceRecord(type="sklearn", digest="0"), dataset=version)
    journal.write(journal.record.with_stage("collect", outcome, 2.0))
    return journal


def test_ended_runs_are_listed_newest_first_with_state_figure_time_and_page(workspace):
    newest, oldest = list_runs(workspace.url)
    assert (newest.state, oldest.state) == ("promoted", "stopped")
    assert (oldest.note, oldest.figure) == ("at gate model", "accuracy 50.00 %")
    assert newest.took_s == 61.5
    assert newest.page.endswith(f"/reports/{newest.run}/report.html")


def test_a_run_at_work_and_a_lost_one_are_told_apart_by_their_lock(workspace):
    journal = begin(workspace)
    line = list_runs(workspace.url)[0]
    assert (line.run, line.state, line.note) == (journal.record.run, "at work", "after collect")
    journal.leave(RuntimeError("the machine went away"))
    line = list_runs(workspace.url)[0]
    assert (line.state, line.recipe) == ("lost", "digits")
    assert f"--resume {line.run}" in line.note
    # What has a receipt has ended, whatever lies about of it.
    end_run(workspace, 3, run=line.run)
    assert [each.state for each in list_runs(workspace.url)] == ["promoted", "promoted", "stopped"]


def test_the_command_lists_and_writes_the_page(workspace):
    where = ("--workspace", workspace.url)
    listed = call("runs", *where, "--json").out.splitlines()
    first = json.loads(listed[0])
    assert len(listed) == 2
    assert (first["state"], first["headline"]["value"]) == ("promoted", 0.9)
    assert len(call("runs", "--limit", "1", *where).out.splitlines()) == 1
    told = call("runs", *where).out
    assert "stopped at gate model" in told
    assert "1 min 02 s" in told
    written = call("runs", "page", *where)
    assert written.status == 0, written.messages
    text = Reader(workspace.read("reports/index.html").decode()).text
    assert written.out.strip() == workspace.address("reports/index.html")
    assert "Runs 2" in text
    assert "stopped at gate model" in text
    empty = call("runs", "--workspace", workspace.url + "-not")
    assert "no run has ended" in empty.messages


def test_the_page_links_to_runs_and_shows_what_every_gate_said(workspace):
    write_page(workspace.url)
    page = workspace.read("reports/index.html").decode()
    reader = Reader(page)
    assert reader.faults == []
    links = [value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")]
    assert [link for link in links if link != "#main"] == [
        "20260102-030402-000002/report.html",
        "20260102-030401-000001/report.html",
    ]
    assert not re.search(r"https?://|url\(|@import", page)
    row = page[page.index('scope="row">model</th>') :].split("</tr>")[0]
    assert re.findall(r'<i class="(\w+)"', row) == ["red", "green"]  # oldest first


def test_a_hostile_name_stays_text_and_a_history_needs_two_figures():
    line = RunLine(run="r", recipe="<script>x</script>", state="lost", at=NOW, note="<b>")
    page = render_overview(Overview(workspace="<i>", at=NOW, runs=(line,)))
    assert "<script>x" not in page
    assert "<b>" not in page.split("<body")[1].replace("<b>0", "").replace("<b>1", "")
    assert draw_history((line, line)) is None
    shown = [
        line.model_copy(update={"headline": figure})
        for value in (0.5, 0.9)
        for figure in list_figures({"accuracy": value}, "held_out")
    ]
    drawn = draw_history(shown)
    assert drawn is not None
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', drawn)]
    assert heights[0] > heights[1]


@pytest.mark.parametrize("order", [("--json", "page"), ("page", "--json")])
def test_options_count_before_and_behind_the_name_of_the_page(workspace, order):
    given = ["runs", *order[:1], "--workspace", workspace.url, *order[1:]]
    assert json.loads(call(*given).out)["page"].endswith(".html")
