"""Closes the loop: what came back is collected, judged and decided on; a retraining is carried out.

Killed at any moment, the next call finishes: rows are added by one commit, a retraining is written
down before it begins and goes on where it was, and a decision that was logged is not logged again.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from flows.errors import GateStopped, ResumeError
from flows.lifecycle import lifecycle
from flows.recipe.load import load_recipe
from flows.recipe.model import Recipe
from flows.recipe.retraining import derive_overrides
from flows.run.exclusive import hold_alone
from flows.run.lost import find_lost_id
from flows.run.prefect_flow import lepton_flow
from flows.run.single import carry_out
from storage.base.figures import Figure
from storage.base.store import Store
from storage.records.receipts import DatasetRecord, Receipt
from tasks.feedback.collect import Gathered, collect_feedback
from tasks.feedback.decide import Decision, Facts, Verdict, decide
from tasks.feedback.evidence import Finding
from tasks.feedback.joining import describe_join
from tasks.feedback.measure import Measured, measure_champion
from tasks.feedback.models import ModelBook
from tasks.feedback.pending import (
    Pending,
    drop_pending,
    find_receipt_of,
    read_pending,
    write_pending,
)
from tasks.feedback.record import record_decision
from tasks.feedback.truths import import_truths
from tasks.feedback.watch import Watched, gate_live
from tasks.forms.streams import HELD_OUT
from tasks.rendering.text import show_figure

MODEL_SECTION = "model"


class FeedbackOutcome(BaseModel):
    """What one call of the flow came to.

    Attributes:
        collected: Rows that it has added to the feedback dataset.
        dataset: The feedback version, `name@number`; None before the first row.
        decision: What was decided.
        evidence: Why.
        receipt: Path or URL of the retraining's receipt; None where there was none.
        stopped: Whether a gate stopped the retraining.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    collected: int
    dataset: str | None
    decision: Decision
    evidence: tuple[Finding, ...]
    receipt: str | None = None
    stopped: bool = False


@lepton_flow
def feedback(
    recipe: str | Recipe = "digits",
    workspace: str = "./workspace",
    overrides: dict[str, Any] | None = None,
    truth: str | None = None,
    scheduler: str | None = None,
) -> FeedbackOutcome:
    """Collects what came back, judges it, decides, and trains again if it should.

    Args:
        recipe: Name of a recipe that comes with Lepton, path to a YAML file, or a whole recipe.
        workspace: Folder or fsspec URL that holds everything a project makes.
        overrides: Values put over the recipe's, by dotted path.
        truth: A CSV file of `answer_id,truth` that is taken in first; a path or an fsspec URL.
        scheduler: Address of a running Dask scheduler, for the retraining.

    Raises:
        RecipeError: The recipe is wrong; nothing was started.
        BusyError: Another process is at work on this recipe's feedback.
        InvalidInput: The truths are not what they should be.
    """
    r = load_recipe(recipe, overrides)
    store = Store(workspace)
    store.probe()
    with hold_alone(store, f"feedback-{r.name}"):
        if truth is not None:
            import_truths(store, truth)
        return Round(recipe, dict(overrides or {}), r, store, scheduler).go()


class Round:
    """One time round the loop.

    Args:
        given: The recipe, as it was given.
        overrides: Values put over it.
        recipe: What both come to.
        store: The workspace.
        scheduler: Address of a running Dask scheduler.
    """

    def __init__(
        self,
        given: str | Recipe,
        overrides: dict[str, Any],
        recipe: Recipe,
        store: Store,
        scheduler: str | None,
    ) -> None:
        self.given, self.overrides, self.recipe = given, overrides, recipe
        self.store, self.scheduler = store, scheduler
        self.channels = tuple(recipe.targets)

    def go(self) -> FeedbackOutcome:
        """Finishes what was begun, or else goes round once."""
        r, url = self.recipe, self.store.url
        gathered = carry_out(collect_feedback, url, r.name, r.objective, r.data)
        if (begun := read_pending(self.store, r.name)) is not None:
            if (receipt := self._finish(begun)) is not None:
                return self._end(gathered, begun, receipt)
            drop_pending(self.store, r.name)
        watched = carry_out(gate_live, url, r.name, gathered, r.data, r.gates, self.channels)
        least = r.gates.live.min_labels
        measured = carry_out(measure_champion, url, gathered, watched, r.data, least, self.channels)
        changes, digest = self._plan(gathered, watched, measured)
        verdict = decide(self._list_facts(watched, measured, digest), r.gates.live.min_rows)
        evidence = (
            Finding(name="decision", outcome="noted", detail=verdict.reason),
            *gathered.findings,
            *watched.findings,
            *measured.findings,
        )
        if verdict.decision != "retrain" or gathered.dataset is None or watched.champion is None:
            return self._keep(gathered, watched, verdict, evidence)
        pending = Pending(
            recipe=digest, dataset=gathered.dataset, champion=watched.champion, evidence=evidence
        )
        write_pending(self.store, r.name, pending)
        return self._end(gathered, pending, self._train({**self.overrides, **changes}))

    def _plan(
        self, gathered: Gathered, watched: Watched, measured: Measured
    ) -> tuple[dict[str, Any], str]:
        """Return what a retraining changes in the recipe, and the digest of what it comes to."""
        if measured.verdict != "worse" or gathered.dataset is None or watched.champion is None:
            return {}, ""
        r, model = self.recipe, ModelBook(self.store).require(watched.champion)
        window = r.model.window
        section = r.document[MODEL_SECTION]
        horizon = window.horizon if window is not None else 1
        join = describe_join(self.store, gathered.dataset, model, r.data, section, horizon)
        changes = derive_overrides(r, self.store.url, gathered.dataset, watched.champion, join)
        return changes, load_recipe(self.given, {**self.overrides, **changes}).digest

    def _list_facts(self, watched: Watched, measured: Measured, digest: str) -> Facts:
        before = find_receipt_of(self.store, digest) if digest else None
        return Facts(
            champion=watched.champion is not None,
            rows=watched.rows,
            live=watched.live,
            drift=watched.drift,
            figure=measured.verdict,
            stopped=None if before is None else "; ".join(before.reasons[:3]),
        )

    def _train(self, overrides: dict[str, Any], resume: str | None = None) -> Receipt:
        """Carries out the lifecycle; what a gate stopped has a receipt, too."""
        try:
            receipt: Receipt = lifecycle(
                self.given, self.store.url, overrides, self.scheduler, resume
            )
        except GateStopped as stopped:
            return stopped.receipt
        return receipt

    def _finish(self, begun: Pending) -> Receipt | None:
        """Finishes a retraining that was begun; None where nothing of it is left."""
        if (lost := find_lost_id(self.store, begun.recipe)) is not None:
            try:
                return self._train({}, lost)
            except ResumeError:
                return None
        return find_receipt_of(self.store, begun.recipe)

    def _end(self, gathered: Gathered, begun: Pending, receipt: Receipt) -> FeedbackOutcome:
        """Logs a retraining and its decision, and says what it came to."""
        told = Finding(
            name="retraining",
            outcome="green" if receipt.promoted else "red",
            detail=_tell(receipt),
        )
        evidence = (*begun.evidence, told)
        self._record("retrain", evidence, begun.dataset, begun.champion, receipt.id)
        drop_pending(self.store, self.recipe.name)
        return FeedbackOutcome(
            collected=gathered.collected,
            dataset=begun.dataset.ref,
            decision="retrain",
            evidence=evidence,
            receipt=receipt.address,
            stopped=not receipt.promoted,
        )

    def _keep(
        self,
        gathered: Gathered,
        watched: Watched,
        verdict: Verdict,
        evidence: tuple[Finding, ...],
    ) -> FeedbackOutcome:
        """Logs a decision that changes no model."""
        self._record(verdict.decision, evidence, gathered.dataset, watched.champion, None)
        return FeedbackOutcome(
            collected=gathered.collected,
            dataset=gathered.dataset.ref if gathered.dataset is not None else None,
            decision=verdict.decision,
            evidence=evidence,
        )

    def _record(
        self,
        decision: Decision,
        evidence: tuple[Finding, ...],
        dataset: DatasetRecord | None,
        champion: str | None,
        receipt: str | None,
    ) -> None:
        name = self.recipe.name
        record_decision(
            self.store.url, name, self.channels, decision, evidence, dataset, champion, receipt
        )


def _tell(receipt: Receipt) -> str:
    """Return what a retraining came to, in a sentence."""
    if not receipt.promoted:
        return f"stopped at {receipt.stopped_at}: {'; '.join(receipt.reasons)}"
    name = receipt.headline
    own = _show(receipt.figures, name)
    champions = {_show(figures, name) for figures in receipt.champions.values()}
    beside = f", beside the champion's {' and '.join(sorted(champions))}" if champions else ""
    model = receipt.model_id or ""
    return f"model {model[:12]} promoted: {name} {own} on held-out rows, old and new{beside}"


def _show(figures: tuple[Figure, ...], name: str) -> str:
    found = (each for each in figures if each.name == name and each.split == HELD_OUT)
    return next((show_figure(figure) for figure in found), "unknown")
