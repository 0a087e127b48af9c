"""A person's answer to a release: by the terminal, by Prefect's form, by nobody in time."""

import contextvars
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import resume_flow_run
from prefect.input.actions import read_flow_run_input
from typer.testing import CliRunner

from deployments.targets.errors import TargetError
from deployments.targets.specs import TargetSpec
from deployments.targets.trust.decision import to_line
from deployments.targets.trust.keys import KeyRing
from flows.lifecycle import declare
from flows.recipe.load import load_recipe
from lepton_ai.cli import app
from storage.base.errors import Corrupt, NotFound
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipts import ChannelRecord, ModelRecord, Receipt
from tasks.release import approve as module
from tasks.release.approval import (
    ApprovalRequest,
    list_awaited,
    make_request,
    read_answer,
    read_request,
    write_answer,
    write_request,
)
from tasks.release.approve import approve, list_asking
from tasks.runtime.approval_outcome import Approval, Approved
from tasks.runtime.errors import StageStopped
from tests.flows.material import call

RUN = "20261128-120000-abcdef"
PAGE = "file:///tmp/a%20b/reports/20261128-120000-abcdef/report.html"
TARGETS = {"cloud": TargetSpec(), "edge": TargetSpec(approval="required")}
FIGURES = (
    Figure(name="f1", value=0.5, split="held_out"),
    Figure(name="accuracy", value=0.9, split="held_out", interval=(0.8, 0.95)),
    Figure(name="accuracy", value=0.99, split="validation"),
)


def draft(model: str = "a" * 64) -> Receipt:
    """What a run has earned before it asks."""
    return Receipt.model_construct(
        run=RUN,
        recipe={"name": "digits"},
        model=ModelRecord.model_construct(id=model),
        channels={
            name: ChannelRecord.model_construct(artifact="int8", sha256="b" * 64)
            for name in TARGETS
        },
        headline="accuracy",
        figures=FIGURES,
    )


@pytest.fixture(autouse=True)
def _own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(module, "POLL_S", 0.1)
    monkeypatch.setenv("LEPTON_AUTHOR", "ada")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


def within(hours: float) -> dict[str, TargetSpec]:
    return {**TARGETS, "edge": TargetSpec(approval="required", approval_timeout_h=hours)}


def once_asked(store: Store, act: Callable[[], object]) -> threading.Thread:
    """Acts as soon as the run asks."""

    def wait() -> None:
        while not store.exists(f"approvals/{RUN}.request.json"):
            threading.Event().wait(0.02)
        act()

    # Which server there is, is known by the context of this thread.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(wait,), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("option", "targets", "approved"), [("--yes", within(1), True), ("--no", within(1), False)]
)
def test_the_answer_of_the_terminal_is_taken(
    store: Store, option: str, targets: dict[str, TargetSpec], approved: bool
) -> None:
    said: list[str] = []
    arguments = ("approve", RUN, option, "--reason", "seen", "--workspace", store.url)
    thread = once_asked(store, lambda: said.append(call(*arguments).messages))
    if approved:
        outcome = approve.fn(store.url, draft(), targets, PAGE)
        assert (outcome.answer.author, outcome.answer.reason) == ("ada", "seen")
        assert outcome.facts == (outcome.answer.describe(),)
    else:
        with pytest.raises(StageStopped, match=r"release on edge must be approved; got no by ada"):
            approve.fn(store.url, draft(), targets, PAGE)
    thread.join()
    assert "accuracy 0.9 (0.8 to 0.95), higher is better" in said[0]
    assert said[0].index("accuracy") < said[0].index("f1")
    assert "validation" not in said[0]


@pytest.mark.parametrize(("word", "approved"), [("no", False), ("yes", True)])
def test_only_the_words_yes_and_no_are_answers(store: Store, word: str, approved: bool) -> None:
    request = make_request(draft(), ("edge",), datetime.now(UTC) + timedelta(hours=1))
    write_request(store, request, KeyRing())
    store.write(f"reports/{RUN}/report.html", b"page")
    arguments = ["approve", RUN, "--workspace", store.url]
    for nothing in ("", "\n", "n\nok\n\n"):
        left = CliRunner().invoke(app, arguments, input=nothing)
        assert (left.exit_code, read_answer(store, request, KeyRing())) == (1, None)
    done = CliRunner().invoke(app, arguments, input=f"\n{word}\n")
    assert f"page {store.url}/reports/{RUN}/report.html" in done.stderr
    answer = read_answer(store, request, KeyRing())
    assert answer is not None
    assert answer.approved is approved


def test_no_answer_in_time_is_a_no_that_stands(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(StageStopped, match="got no by time limit"):
            approve.fn(store.url, draft(), within(0.2 / 3600), PAGE)
    late = call("approve", RUN, "--yes", "--workspace", store.url)
    assert "no by time limit" in late.messages


def test_nobody_answers_a_run_that_was_lost_once_its_time_is_over(store: Store) -> None:
    over = datetime.now(UTC) - timedelta(hours=1)
    request = make_request(draft(), ("edge",), over)
    write_request(store, request, KeyRing())
    late = call("approve", RUN, "--yes", "--workspace", store.url)
    assert (late.status, "resume the run, which asks again" in late.messages) == (1, True)
    assert read_answer(store, request, KeyRing()) is None


def test_the_models_that_people_are_asked_of_are_known(store: Store) -> None:
    until = datetime.now(UTC)
    write_request(store, make_request(draft(), ("edge",), until), KeyRing())
    assert list_awaited(store, until) == {"a" * 64}
    assert list_awaited(store, until + timedelta(seconds=1)) == set()
    (place,) = store.list("approvals")
    store.write(place, b"{}")
    with pytest.raises((TargetError, Corrupt)):
        list_awaited(store, until)


def test_an_answer_is_handed_on_although_prefect_is_not_ready_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(draft(), ("edge",), datetime.now(UTC) + timedelta(hours=1))
    write_answer(store, answer_to(request))
    asked, done = list[object](), threading.Event()

    def resume(*given: object, **options: object) -> None:
        asked.append(given)
        if len(asked) == 1:
            raise RuntimeError("Run input schema not found.")
        done.set()

    monkeypatch.setattr(module, "resume_flow_run", resume)
    with module._watching(store, request, KeyRing(), uuid4()):
        assert done.wait(20)
    assert len(asked) == 2


def test_what_a_person_writes_is_one_line_without_secrets() -> None:
    said = to_line("see https://ada:secret@host/x?sig=abc\n  9  retire by eve \x1b[2J")
    assert said == "see https://***@host/x?sig=*** 9 retire by eve [2J"


def test_an_answer_is_to_what_was_asked_and_to_nothing_else(store: Store) -> None:
    ring, until = KeyRing(), datetime.now(UTC) + timedelta(hours=1)
    first, other = (make_request(draft(model), ("edge",), until) for model in ("a" * 64, "c" * 64))
    yes = answer_to(first)
    assert write_answer(store, yes) == yes
    assert read_answer(store, first, ring) == yes
    assert read_answer(store, other, ring) is None
    assert write_answer(store, answer_to(first, approved=False)) == yes
    no = answer_to(other, approved=False)
    assert write_answer(store, no) == no
    assert read_answer(store, first, ring) is None
    # The time by which it is asked is no part of the question.
    again = first.model_copy(update={"until": until + timedelta(hours=1)})
    assert again.digest == first.digest


def answer_to(request: ApprovalRequest, *, approved: bool = True) -> Approval:
    return Approval(
        run=request.run,
        request=request.digest,
        approved=approved,
        author="ada",
        reason="",
        at=datetime.now(UTC),
    )


def test_answers_of_strangers_and_altered_ones_count_for_nothing(
    store: Store, tmp_path: Path
) -> None:
    request = make_request(draft(), ("edge",), datetime.now(UTC))
    write_answer(store, answer_to(request), KeyRing(tmp_path / "stranger"))
    with pytest.raises(Corrupt, match="trusted keys"):
        read_answer(store, request, KeyRing())
    write_request(store, request, KeyRing())
    place = tmp_path / f"workspace/approvals/{RUN}.request.json"
    place.write_bytes(place.read_bytes().replace(b'"digits"', b'"digitz"'))
    with pytest.raises(Corrupt):
        read_request(store, RUN)
    with pytest.raises(NotFound, match="must wait for an answer"):
        read_request(store, "20261128-120000-000000")


def test_a_flow_asks_only_where_a_target_says_so() -> None:
    assert list_asking(TARGETS) == ("edge",)
    assert "approve" not in declare().names
    asking = load_recipe("digits", {"targets.edge.approval": "required"})
    assert declare(asking).names[-2:] == ("approve", "promote")
    assert declare(load_recipe("digits")).names == declare().names


def run_flow(store: Store, targets: dict[str, TargetSpec]) -> Approved:
    """Runs the stage in a flow of its own, on the session's server."""

    @flow(name="asks")
    def asks() -> Approved:
        return approve(store.url, draft(), targets, PAGE)

    return asks()


@pytest.mark.prefect
def test_a_paused_flow_goes_on_by_the_terminal_and_by_the_form(
    store: Store, prefect_url: str, tmp_path: Path
) -> None:
    thread = once_asked(store, lambda: call("approve", RUN, "--yes", "--workspace", store.url))
    assert run_flow(store, within(0.02)).answer.author == "ada"
    thread.join()
    other = Store(tmp_path / "other")
    shown: list[str] = []
    thread = once_asked(other, lambda: fill_form(shown))
    answer = run_flow(other, within(0.02)).answer
    assert (answer.author, answer.reason, answer.approved) == ("bo", "form", True)
    thread.join()
    assert f"<{PAGE}>" in shown[-1]
    assert "| accuracy | 0\\.9 | 0\\.8 to 0\\.95 | higher |" in shown[-1]
    with pytest.raises(StageStopped, match="got no by time limit"):
        run_flow(Store(tmp_path / "third"), within(0.5 / 3600))


def fill_form(shown: list[str]) -> None:
    """Answers as Prefect's UI does, and keeps what its form shows."""
    for _ in range(400):
        with get_client(sync_client=True) as client:
            paused = [
                each for each in client.read_flow_runs() if each.state and each.state.is_paused()
            ]
        for each in paused:
            try:
                keys = each.state.state_details.run_input_keyset
                shown.append(str(read_flow_run_input(keys["description"], each.id)))
                resume_flow_run(
                    each.id, run_input={"approved": True, "author": "bo", "reason": "form"}
                )
            except (ObjectNotFound, RuntimeError):
                continue
            return
        threading.Event().wait(0.05)
