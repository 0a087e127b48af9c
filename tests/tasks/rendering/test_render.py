"""The run's page, as a reader, a browser and an attacker see it."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gates.engine.report import Check, GateReport
from storage.records.receipts import DatasetRecord, FileRecord, SourceRecord
from tasks.rendering.answers import (
    Breakdown,
    Confusion,
    Coverage,
    Forecast,
    PrecisionRecall,
    Sample,
    StepErrors,
)
from tasks.rendering.page_data import Channel, Metric, ReceiptPart, RunPage, Stage
from tasks.rendering.pictures import encode_picture
from tasks.rendering.profile import ColumnProfile, DataProfile
from tasks.rendering.render import MAX_SAMPLES, render_run_page
from tasks.rendering.verdicts import list_failed, list_noted
from tests.tasks.rendering.material import (
    CHAIN,
    digest,
    make_artifact,
    make_check,
    make_point,
    make_report,
)

VOID = {"meta", "link", "img", "br", "hr", "input"}


def make_sample(truth: str, predicted: str, confidence: float = 0.9, side: int = 8) -> Sample:
    pixels = np.random.default_rng(7).integers(0, 17, (1, side, side)).astype(np.uint8)
    picture = encode_picture(pixels, (0, 16))
    return Sample(
        picture=picture, truth=truth, predicted=predicted, confidence=confidence, name="row 3"
    )


def make_gate(stage: str, *, passed: bool = True) -> GateReport:
    about = f"{stage} figure"
    check = make_check(
        rule="expect_column_max_to_be_between",
        about=about,
        observed=3 if passed else 255,
        limit={"min_value": 0, "max_value": 16},
        passed=passed,
        message=f"max on {about}: observed {3 if passed else 255}, limit [0, 16]",
        rows=() if passed else ("shard ab12, row 417", "shard ab12, row 418"),
    )
    sound = make_check(
        rule="expect_table_row_count_to_equal", about="rows", observed=9, limit={"value": 9}
    )
    return make_report(check, sound, stage=stage)


def make_dataset(name: str, *, number: int = 1, rows: dict[str, int]) -> DatasetRecord:
    return DatasetRecord(name=name, number=number, digest=digest(name), manifest="", rows=rows)


def make_page(**changes: Any) -> RunPage:
    stages = tuple(
        Stage(
            name=name,
            state="green" if name.startswith("gate ") else "done",
            duration_s=1.5,
            facts=("a fact",),
        )
        for name in CHAIN
    )
    base: dict[str, Any] = {
        "run": "20261121-053012-9f3a1c",
        "recipe": "digits",
        "description": "handwritten digits",
        "status": "promoted",
        "created_at": datetime(2026, 11, 21, 5, 30, tzinfo=UTC),
        "plan": CHAIN,
        "stages": stages,
        "gates": tuple(make_gate(stage) for stage in ("raw", "prepared", "model", "artifact")),
        "metrics": (
            Metric(
                name="Held-out accuracy", value=0.9889, kind="rate", note="539 rows", headline=True
            ),
            Metric(name="Parameters", value=28906, kind="count"),
        ),
        "curve": tuple(
            make_point(
                epoch,
                train_loss=2 / epoch,
                validation_loss=2.2 / epoch,
                validation_accuracy=1 - 1 / epoch,
            )
            for epoch in range(1, 9)
        ),
        "best_epoch": 7,
        "confusion": Confusion(labels=("zero", "one"), counts=((41, 2), (0, 37))),
        "samples": (make_sample("zero", "zero"), make_sample("one", "zero", 0.6)),
        "candidates": (
            make_artifact("fp32", accuracy=0.98, size_bytes=118_934, latency_ms_p50=0.05),
            make_artifact(
                "int8",
                validation_accuracy=0.97,
                size_bytes=34_211,
                latency_ms_p50=0.04,
                chosen_for=("edge",),
                note="holds up",
            ),
        ),
        "channels": {"edge": Channel(artifact="int8.onnx", sha256=digest("i"), release=1)},
        "source": SourceRecord(
            type="idx",
            digest="",
            url="sklearn:digits",
            files={"a.gz": FileRecord(sha256=digest("a"), size_bytes=57_523)},
        ),
        "datasets": {
            "raw": make_dataset("digits-raw", rows={"": 80}),
            "prepared": make_dataset(
                "digits-prepared", number=2, rows={"train": 60, "held_out": 20}
            ),
        },
        "receipt": ReceiptPart(
            id=digest("receipt"),
            key_id=digest("key"),
            model_id=digest("model"),
            recipe_digest=digest("recipe"),
            code_version="0.1.0",
            code_digest=digest("code"),
            commit=digest("commit")[:40],
            packages={"numpy": "2.4.0"},
            machine={"cores": 2, "memory_bytes": 16_000_000_000},
            files={"int8.onnx": FileRecord(sha256=digest("i"), size_bytes=34_211)},
        ),
        "workspace": "./my workspace",
    }
    return RunPage(**{**base, **changes})


def make_stopped(stage: str) -> RunPage:
    """A run that a gate ended: nothing of what follows it is known."""
    at = CHAIN.index(stage)
    names = ("raw", "prepared", "model", "artifact")
    reached = names[: sum(name.startswith("gate ") for name in CHAIN[: at + 1])]
    trained = at > CHAIN.index("train")
    stages = tuple(
        Stage(
            name=name,
            state="red" if name == stage else "green" if name.startswith("gate ") else "done",
        )
        for name in CHAIN[: at + 1]
    )
    gates = (*(make_gate(name) for name in reached[:-1]), make_gate(reached[-1], passed=False))
    nothing: dict[str, Any] = {"metrics": (), "curve": (), "confusion": None, "samples": ()}
    return make_page(
        status="stopped",
        stopped_at=stage,
        reasons=tuple(check.message for check in list_failed(gates[-1])),
        stages=stages,
        gates=gates,
        candidates=(),
        channels={},
        **({} if trained else nothing),
    )


class Reader(HTMLParser):
    """Reads a page as a browser would: elements must nest, and every attribute is kept."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> repeats an attribute: {names}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def make_full() -> RunPage:
    """A page with every part that only some runs have."""
    return make_page(
        profile=DataProfile(
            columns=(ColumnProfile(name="heat", type="number", values="1", bars={"": (0.5, 0.5)}),),
            classes={"one": 3},
            seen=3,
            set_aside=(("0x1", "too hot", "rows.csv:7"),),
            set_aside_count=1,
        ),
        steps=StepErrors(lines={"model": (1.0, 2.0), "linear": (1.0, 1.5)}),
        coverage=Coverage(low=0.1, high=0.9, seen=0.78),
        breakdowns=(
            Breakdown(by="site", figure="MAE", answerers=("model",), rows=(("a", 3, (1.0,)),)),
        ),
        precision_recall=PrecisionRecall(
            positive="one",
            base=0.5,
            average_precision=0.9,
            points=((0.5, 1.0), (1.0, 0.5)),
            threshold=0.5,
            at=(0.5, 1.0),
        ),
        forecasts=(
            Forecast(
                title="OT",
                lines={"truth": (1.0, 2.0), "answer": (1.5, 2.5)},
                past=(0.0, 1.0),
                moments=("2024-01-01", "2024-01-02", "2024-01-04"),
                band=((1.0, 2.0), (2.0, 3.0)),
            ),
        ),
    )


ALL = {
    "promoted": make_page,
    "full": make_full,
    "raw": lambda: make_stopped("gate raw"),
    "prepared": lambda: make_stopped("gate prepared"),
    "model": lambda: make_stopped("gate model"),
    "artifact": lambda: make_stopped("gate artifact"),
    "bare": lambda: RunPage(
        run="r",
        recipe="x",
        status="stopped",
        stopped_at="promote",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    ),
}


@pytest.fixture(params=ALL)
def html(request: pytest.FixtureRequest) -> str:
    return render_run_page(ALL[request.param]())


def test_every_element_nests_and_ids_are_unique(html: str) -> None:
    reader = Reader(html)
    assert reader.faults == []
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = [value for _, name, value in reader.attributes if name == "aria-labelledby"]
    assert named
    assert set(named) <= set(ids)


def test_every_drawing_is_well_formed_and_finite(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert drawings
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)  # our own output
        spoken = root.get("aria-label") if root.get("role") == "img" else root.get("aria-hidden")
        assert spoken, drawing[:200]
        assert "nan" not in drawing.lower().split("<title>")[0]
        assert not re.search(r'="[^"]*\b(nan|inf)\b', drawing)


def test_nothing_is_fetched(html: str) -> None:
    reader = Reader(html)
    for tag, name, value in reader.attributes:
        if name in {"src", "href", "srcset", "action", "formaction", "poster", "data"}:
            assert value is not None
            assert value.startswith(("data:image/png;base64,", "#")) or value == "data:,", (
                tag,
                name,
                value,
            )
    assert not re.search(r"https?://|//[a-z]+\.|url\(|@import|@font-face", html)
    assert "style" not in {name for _, name, _ in reader.attributes}, "the policy would refuse it"
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]


def test_policy_allows_only_what_is_on_the_page(html: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    written = policy[1].replace("&#39;", "'").replace("&#x27;", "'")
    assert written.startswith("default-src 'none'")
    assert "unsafe" not in written
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        allowed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{allowed}'" in written


def test_pictures_have_words(html: str) -> None:
    reader = Reader(html)
    pictures = reader.tags.count("img")
    alternatives = [
        value for tag, name, value in reader.attributes if (tag, name) == ("img", "alt")
    ]
    assert len(alternatives) == pictures
    assert all(alternatives)


def test_promoted_page_shows_the_whole_run() -> None:
    text = Reader(render_run_page(make_page())).text
    for words in (
        "Promoted",
        "Released on edge as int8.onnx (release 1).",
        "98.89 %",
        "Confusion matrix",
        "Loss",
        "34.2 kB",
        "✓ edge",
        "digits-prepared@2",
        digest("receipt"),
        digest("model"),
        f"lepton verify {digest('receipt')[:16]} --workspace './my workspace'",
        f"lepton trace {digest('model')[:16]}",
        "lepton predict edge IMAGE.png",
    ):
        assert words in text
    assert "What stopped it" not in text
    assert text.count("not reached") == 0
    rows = Reader(render_run_page(make_page().model_copy(update={"operand": "ROWS.csv"}))).text
    assert "lepton predict edge ROWS.csv" in rows
    assert "IMAGE.png" not in rows


@pytest.mark.parametrize("stage", [name for name in CHAIN if name.startswith("gate ")])
def test_stopped_page_says_first_what_stopped_it(stage: str) -> None:
    text = Reader(render_run_page(make_stopped(stage))).text
    finding = text[text.index("What stopped it") : text.index("The chain")]
    assert f"Stopped at {stage}" in text[: text.index("What stopped it")].split("digits", 2)[2]
    for words in (
        "expect_column_max_to_be_between",
        "Observed 255",
        "Limit 0 to 16",
        "row 417",
        "row 418",
    ):
        assert words in finding
    assert text.count("not reached") == len(CHAIN) - CHAIN.index(stage) - 1
    assert "lepton predict" not in text


def test_a_page_that_waits_says_what_is_asked_and_how_to_answer() -> None:
    run = "20261121-053012-9f3a1c"
    page = make_page(status="waiting", receipt=None, workspace="s3://there/ws")
    html = render_run_page(page)
    assert "Waits for approval" in html
    assert "<b>edge</b> gets int8.onnx" in html
    assert f"lepton approve {run} --workspace s3://there/ws" in html
    assert "Released on" not in html
    assert 'id="findings"' not in html
    assert "lepton predict" not in html


def test_what_was_not_reached_is_not_on_the_page() -> None:
    page = render_run_page(make_stopped("gate raw"))
    for heading in ("Training", "Results", "Samples", "Candidates"):
        assert f">{heading}</h2>" not in page
        assert f">{heading}</h2>" in render_run_page(make_page())
    assert "<img" not in page


@pytest.mark.parametrize(
    ("severity", "contained"), [("warn", False), ("quarantine", True), ("quarantine", False)]
)
def test_page_says_of_a_failed_check_what_the_gate_says(severity: str, contained: bool) -> None:
    fields: dict[str, Any] = {
        "rule": "r",
        "about": "label",
        "observed": 3,
        "limit": {"max_value": 0},
    }
    check = Check(
        passed=False, severity=severity, contained=contained, message="three rows", **fields
    )
    sound = Check(passed=True, message="fine", **{**fields, "observed": 0})
    report = make_report(check, sound)
    assert len(list_failed(report)) == len(report.reasons)
    assert len(list_noted(report)) == len(report.warnings)
    text = Reader(render_run_page(make_page(gates=(report,)))).text
    assert ("green, 2 checks, 1 of them with a warning" in text) == report.passed
    assert "three rows" in text or not report.passed


def test_lost_promotion_shows_its_reasons() -> None:
    page = make_page(
        status="stopped", stopped_at="promote", reasons=("edge went to another run",), channels={}
    )
    text = Reader(render_run_page(page)).text
    assert "Stopped at promote" in text
    assert "edge went to another run" in text
    assert "nothing was released" not in text, "one of two channels may have been"


def test_wrong_samples_come_first_and_leave_room_for_right_ones() -> None:
    samples = (
        *(make_sample("a", "a", 0.5 + index / 100) for index in range(30)),
        *(make_sample("a", "b", 0.5 + index / 100) for index in range(30)),
    )
    html = render_run_page(make_page(samples=samples))
    order = re.findall(r'<li class="(right|wrong)">', html)
    assert len(order) == MAX_SAMPLES
    assert order == sorted(order, reverse=True)
    assert {"right", "wrong"} == set(order)
    assert html.index("79.00 %") < html.index("78.00 %")


def test_splits_and_datasets_follow_the_chain() -> None:
    rows = {"held_out": 20, "train": 60, "validation": 9}
    datasets = {
        "prepared": make_dataset("p", rows=rows),
        "raw": make_dataset("r", rows={"": 89}),
    }
    text = Reader(render_run_page(make_page(datasets=datasets))).text
    assert "train 60 validation 9 held out 20" in text
    assert text.index("r@1 raw") < text.index("p@1 prepared")


def test_page_is_the_same_for_the_same_run() -> None:
    assert render_run_page(make_page()) == render_run_page(make_page())


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "stopped"},
        {"stopped_at": "train"},
        {"confusion": {"labels": ("a", "b"), "counts": ((1, 2),)}},
        {"samples": ({"picture": b"<svg/>", "truth": "a", "predicted": "a", "confidence": 1.0},)},
        {"surprise": 1},
    ],
)
def test_inconsistent_pages_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_page(**changes)
