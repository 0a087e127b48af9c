"""One page a gate: what failed first, offending rows, distributions, history; hostile text stays
text.
"""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from gates.prepared.prepared_gate import judge_prepared
from gates.specs.prepared import PreparedGate
from gates.specs.raw import RawGate
from gates.specs.sections import GatesSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.image import ImageSpec
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.records.receipts import SourceRecord
from tasks.data.collect import describe_version
from tasks.gates.accepted import Accepted
from tasks.gates.prepared import describe_prepared
from tasks.gates.raw import judge_version
from tasks.pages.gate_report import fill_gate_page, write_gate_pages
from tasks.pages.offenders import NEAR_DUPLICATES, SHARED
from tasks.rendering.gate_page import (
    Distribution,
    GatePage,
    Offender,
    PastVerdict,
    render_gate_page,
)
from tasks.rendering.pictures import encode_picture
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.run_record import RunRecord
from tests.tasks.gates.mills import (
    SERIES,
    TABLE,
    collect,
    make_series,
    make_table,
    write_run,
)
from tests.tasks.gates.test_bad_rows import make_images
from tests.tasks.rendering.material import make_check, make_report
from tests.tasks.rendering.test_render import Reader
from tests.tasks.rendering.test_render_hostile import ATTACKS, poison


def make_page():
    check = make_check(
        rule="expect_column_max_to_be_between",
        about="heat",
        observed=9.0,
        limit={"max_value": 1},
        passed=False,
        message="too hot",
        rows=("row 5",),
    )
    picture = encode_picture(np.eye(8), (0, 1))
    return GatePage(
        run="run-1",
        recipe="mills",
        gate=make_report(check),
        judged="mills-raw@2",
        accepted="mills-raw@1",
        distributions=(
            Distribution(name="heat", edges=("0", "9"), accepted=(0.9, 0.1), current=(0.1, 0.9)),
        ),
        samples=(
            Offender(about="image.brightness", name="row_id 7 source a.png", picture=picture),
            Offender(
                about="heat",
                name="row_id 8 source rows.csv:5",
                values=(1.0, None, 9.0, 1.5),
                place=2,
            ),
        ),
        history=(
            PastVerdict(run="run-0", created_at=datetime(2026, 1, 1, tzinfo=UTC), passed=True),
        ),
    )


def test_the_page_says_what_failed_first_and_shows_it():
    html = render_gate_page(make_page())
    reader = Reader(html)
    assert reader.faults == []
    assert "First to fail: <b>heat</b>. too hot" in html
    assert "mills-raw@2, against mills-raw@1" in html
    assert reader.tags.count("img") == 1
    assert html.count("<polyline") == 2  # one distribution, one plot
    assert "rows.csv:5" in html
    assert "run-0" in html
    assert reader.tags.count("script") == 0
    assert not re.findall(r'(?:src|href)="(?!data:)(?!#)', html)


def test_no_rule_of_the_style_changes_the_size_of_a_bar():
    """A style's width wins over a rectangle's own: bars of one length would show a distribution
    that is not there.
    """
    html = render_gate_page(make_page())
    classes = {
        name for found in re.findall(r'<rect [^>]*class="([^"]+)"', html) for name in found.split()
    }
    assert classes
    rules = re.findall(
        r"([^{}]+)\{([^{}]*)\}", html[html.index("<style>") : html.index("</style>")]
    )
    for selector, body in rules:
        if any(re.search(rf"\.{name}(?![\w-])", selector) for name in classes):
            assert not re.search(r"(?<![\w-])(width|height)\s*:", body), selector


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_string_becomes_markup(attack):
    html = render_gate_page(poison(make_page(), attack))
    reader = Reader(html)
    assert reader.faults == []
    assert reader.tags.count("script") == 0
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    html.encode("utf-8")


def record_run(root, version, spec, report):
    document = {"kind": "tabular-classification", "data": spec.model_dump(mode="json")}
    record = RunRecord(
        run="now",
        flow="lifecycle",
        required_gates=("raw",),
        workspace=str(root),
        recipe={"name": "mills", "document": document},
        started_at=datetime.now(UTC),
    )
    collected = Collected(
        source=SourceRecord(type="csv", digest=""), dataset=describe_version(version)
    )
    return record.with_stage("collect", collected, 1.0).with_stage("gate raw", report, 1.0)


def test_a_red_raw_gate_leaves_a_page_with_the_rows_and_both_distributions(tmp_path):
    store = Store(tmp_path)
    accepted = collect(tmp_path / "a", make_table(), TABLE)
    write_run(store, accepted, {})
    columns = make_table(1)
    columns["heat"][:300] = "999"
    current = collect(tmp_path / "b", columns, TABLE)
    own = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "heat", "max_value": 200},
    }
    limits = GatesSpec(raw=RawGate.model_validate({"expectations": [own]}))
    report = judge_version(current, TABLE, limits, Accepted(accepted))
    (path,) = write_gate_pages(store, record_run(tmp_path, current, TABLE, report))
    html = store.read(path).decode()
    assert path == "reports/now/gate-raw.html"
    assert f"{current.ref}, against {accepted.ref}" in html
    assert "source rows.csv:0" in html
    assert "heat: share of rows now, and in the accepted version" in html
    assert "run-0" in html  # the history


def test_a_page_is_written_where_there_is_nothing_to_compare_with(tmp_path):
    version = collect(tmp_path / "s", make_series(), SERIES)
    report = judge_version(version, SERIES, GatesSpec(), Accepted(None, "first"))
    (path,) = write_gate_pages(Store(tmp_path), record_run(tmp_path, version, SERIES, report))
    html = Store(tmp_path).read(path).decode()
    assert "Gate raw green" in html
    assert re.search("<details [^>]* open>", html)  # its checks are what a gate's own page is for


def test_the_prepared_page_shows_pairs_that_splits_share_with_both_files(tmp_path):
    def add_near_duplicates(rows):
        for row in range(60):
            rows["image"][200 + row] = np.clip(rows["image"][row] + 1e-4, 0, 1)

    data = ImageSpec.model_validate(
        {
            "image": {"dtype": "float32", "shape": [1, 6, 6], "value_range": [0, 1]},
            "labels": ["shut", "open"],
        }
    )
    raw = make_images(tmp_path, add_near_duplicates)
    prepared = prepare_rows(raw, data, Dataset(raw.dataset.workspace, "eyes-prepared"))
    leaked = next(prepared.iter_shards("train")).model_copy(update={"split": "validation"})
    version = prepared.dataset.replace([*prepared.shards, leaked], kind="prepared")
    record = record_run(tmp_path, raw, data, judge_version(raw, data, GatesSpec()))
    handed = Prepared(
        dataset=describe_version(version), fitted=Fitted.model_validate(prepared.info["fitted"])
    )
    facts = describe_prepared(version, record.find(Collected), handed, data)
    report = judge_prepared(PreparedGate(max_near_duplicate_fraction=0), facts)
    record = record.with_stage("prepare", handed, 1.0).with_stage("gate prepared", report, 1.0)
    samples = fill_gate_page(raw.dataset.workspace, record, report, []).samples
    assert {sample.about for sample in samples} == {SHARED, NEAR_DUPLICATES}
    for sample in samples:
        assert sample.picture
        assert sample.near_duplicate.picture
        assert sample.name.split()[0] != sample.near_duplicate.name.split()[0]  # the split
        places = [
            int(found.name.rpartition("eyes.bin:")[2]) for found in (sample, sample.near_duplicate)
        ]
        apart = abs(places[1] - places[0])
        assert apart == (0 if sample.about == SHARED else 200)
    html = Store(tmp_path).read(write_gate_pages(Store(tmp_path), record)[-1]).decode()
    assert html.count('<li class="near-duplicates">') == len(samples)
    good = judge_prepared(
        PreparedGate(max_near_duplicate_fraction=1),
        describe_prepared(prepared, record.find(Collected), handed, data),
    )
    assert not fill_gate_page(raw.dataset.workspace, record, good, []).samples
