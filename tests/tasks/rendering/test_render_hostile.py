"""The run's page of hostile strings, odd figures and very large runs."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from storage.records.receipts import FileRecord, SourceRecord
from tasks.rendering.answers import Confusion, Sample
from tasks.rendering.page_data import Metric
from tasks.rendering.pictures import encode_picture
from tasks.rendering.render import render_run_page
from tests.tasks.rendering.material import (
    digest,
    make_artifact,
    make_check,
    make_point,
    make_report,
)
from tests.tasks.rendering.test_render import ALL, Reader, make_page

FIXED = {"state", "status", "kind", "severity", "direction", "split", "unit"}
ATTACKS = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title></script><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "]]><!-- \x00\u202e\ud800",
)


def poison(value: Any, attack: str, field: str = "") -> Any:
    """The same record with an attack in every string, key and value."""
    if isinstance(value, BaseModel):
        fields = {
            name: poison(getattr(value, name), attack, name) for name in type(value).model_fields
        }
        return type(value)(**fields)
    if isinstance(value, str):
        return value if field in FIXED else attack + value
    if isinstance(value, tuple):
        return tuple(poison(item, attack) for item in value)
    if isinstance(value, dict):
        return {f"{attack}{key}": poison(item, attack) for key, item in value.items()}
    return value


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["promoted", "artifact"])
def test_no_string_becomes_markup(attack: str, kind: str) -> None:
    clean = ALL[kind]()
    hostile = poison(clean, attack)
    html = render_run_page(hostile)
    reader = Reader(html)
    assert reader.faults == []
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert reader.tags.count("script") == 1
    assert reader.tags.count("img") == len(clean.samples)
    assert "49" not in re.findall(r"<title>(.*?)</title>", html)[0]
    for tag, name, value in reader.attributes:
        if name in {"src", "href"}:
            assert value is not None
            assert value.startswith(("data:image/png;base64,", "#", "data:,")), (tag, value)
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert not {"\x00", "\u202e"} & set(html)
    html.encode("utf-8")


def test_odd_figures_draw_no_nonsense() -> None:
    curve = (
        make_point(1, train_loss=float("nan"), validation_loss=float("inf")),
        make_point(2, train_loss=0.0, validation_loss=0.0, validation_accuracy=1.0),
    )
    checks = tuple(
        make_check(observed=observed, limit=limit, passed=False)
        for observed in (
            1e308,
            -1e308,
            "NaN",
            None,
            True,
            [1, "<b>"],
            {"unexpected": 2, "of": None},
            10**400,
        )
        for limit in (
            {"min_value": -1e308, "max_value": 1e308},
            {"value": 3},
            None,
            {},
            [1],
            {"max_value": 0},
        )
    )
    gate = make_report(*checks)
    page = make_page(
        curve=curve,
        best_epoch=9,
        status="stopped",
        stopped_at="gate raw",
        gates=(gate,),
        confusion=Confusion(labels=("a", "b"), counts=((0, 0), (0, 0))),
        metrics=(
            Metric(name="m", value=float("nan"), kind="rate"),
            Metric(name="n", value=None, kind="bytes"),
        ),
        candidates=(make_artifact("none", size_bytes=0),),
    )
    html = render_run_page(page)
    assert Reader(html).faults == []
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(drawing)
        assert not re.search(
            r' (?:x|y|x1|x2|y1|y2|cx|cy|width|height|points|d)="[^"]*(?:nan|inf)', drawing
        )


def test_page_of_many_classes_and_large_samples_stays_small() -> None:
    labels = tuple(f"class number {index}" for index in range(200))
    counts = tuple(
        tuple(50 if i == j else (i + j) % 3 // 2 for j in range(200)) for i in range(200)
    )
    noise = np.random.default_rng(1).integers(0, 256, (3, 512, 512)).astype(np.uint8)
    picture = encode_picture(noise, (0, 255))
    samples = tuple(
        Sample(picture=picture, truth="a", predicted="b", confidence=0.5) for _ in range(100)
    )
    files = {
        f"image-{index}.jpg": FileRecord(sha256=digest("f"), size_bytes=9)
        for index in range(60_000)
    }
    curve = tuple(make_point(index, train_loss=1 / (index + 1)) for index in range(10_000))
    html = render_run_page(
        make_page(
            confusion=Confusion(labels=labels, counts=counts),
            samples=samples,
            source=SourceRecord(type="folder", digest="", files=files),
            curve=curve,
        )
    )
    assert len(html.encode()) < 1_000_000
    assert "the lowest 24 of 200" in html
    assert "59,800 more" in html


def test_page_does_not_pass_the_first_files_off_for_all() -> None:
    files = {
        f"{number}.png": FileRecord(sha256=digest(str(number)), size_bytes=1)
        for number in range(1000)
    }
    whole = render_run_page(make_page(source=SourceRecord(type="images", digest="", files=files)))
    assert "1,000 source files" in whole
    assert "the first 1,000" not in whole
    part = render_run_page(
        make_page(source=SourceRecord(type="images", digest="", files=files), source_cut=True)
    )
    assert "the first 1,000 source files" in part
    assert "any further ones" in part
