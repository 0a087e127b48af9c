"""The log of a channel's decisions is a chain of signed lines that tells when it was altered."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.publish.history import STEERING_FORMAT
from deployments.targets.trust.chain import append_chain, locate_log
from deployments.targets.trust.keys import KeyRing
from storage.base.errors import Corrupt
from storage.base.store import Store, sha256_bytes
from tasks.feedback.decisions import DatasetRef, DecisionLine, append_decision, read_decisions
from tasks.feedback.evidence import Finding, name_each

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def make_line(number: int, **more: Any) -> DecisionLine:
    found: dict[str, Any] = {
        "at": NOW,
        "recipe": "digits",
        "channel": "edge",
        "decision": "nothing",
        "evidence": (Finding(name="fresh rows", outcome="noted", detail=str(number)),),
        "dataset": DatasetRef(name="digits-feedback", number=number, digest=str(number)),
        "champion": "a" * 64,
        "receipt": None,
    }
    return DecisionLine.model_validate({**found, **more})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for number in range(3):
        assert append_decision(store, make_line(number))
    return store


def log(store: Store) -> Path:
    return Path(store.url) / "releases/edge.jsonl"


def test_each_line_names_the_one_before(store: Store) -> None:
    lines = read_decisions(store, "edge")
    contents = log(store).read_bytes().splitlines()
    assert [line.previous for line in lines] == [None, *map(sha256_bytes, contents[:2])]
    assert [line.dataset.number for line in lines if line.dataset is not None] == [0, 1, 2]
    assert read_decisions(store, "cloud") == []


def test_the_same_decision_is_not_logged_again(store: Store) -> None:
    assert not append_decision(store, make_line(2, evidence=()))
    assert append_decision(store, make_line(2, decision="ask"))
    assert append_decision(store, make_line(2, champion=None))
    assert append_decision(store, make_line(2))
    assert len(read_decisions(store, "edge")) == 6


def test_what_steers_the_channel_stands_between_and_is_no_decision_on_what_came_back(
    store: Store,
) -> None:
    steered = {"format": STEERING_FORMAT, "channel": "edge", "version": 7, "kind": "hold"}
    append_chain(
        store, locate_log("edge"), lambda there: [steered] if len(there) == 3 else [], KeyRing()
    )
    assert not append_decision(store, make_line(2))
    assert append_decision(store, make_line(3))
    numbers = [line.dataset.number for line in read_decisions(store, "edge") if line.dataset]
    assert numbers == [0, 1, 2, 3]
    assert len(log(store).read_bytes().splitlines()) == 5


@pytest.mark.parametrize("how", ["letter", "lost line", "order", "cut", "other channel", "more"])
def test_a_log_that_was_altered_is_refused(store: Store, how: str) -> None:
    path = log(store)
    lines = path.read_bytes().splitlines()
    if how == "letter":
        lines[1] = lines[1].replace(b'"nothing"', b'"retrain"')
    elif how == "lost line":
        del lines[1]
    elif how == "order":
        lines[1:] = lines[:0:-1]
    elif how == "cut":
        lines[2] = lines[2][:-5]
    elif how == "more":
        lines.append(b"{}")
    if how == "other channel":
        path = path.rename(path.with_name("cloud.jsonl"))
    path.write_bytes(b"\n".join(lines) + b"\n")
    channel = path.stem
    with pytest.raises(Corrupt, match="restore the file"):
        read_decisions(store, channel)
    with pytest.raises(Corrupt):
        append_decision(store, make_line(9, channel=channel))


def test_many_findings_of_one_sort_are_counted() -> None:
    found = name_each("refused", [str(number) for number in range(50)])
    assert len(found) == 21
    assert found[-1].detail == "30 more"
