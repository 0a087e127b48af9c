"""Drives a fleet of real processes round after round, and holds the ledger against what arrived.

A round: every device is asked; some truths are told at once, the others when the next round is
over; when all spools are empty, `lepton feedback` judges what came back; where it releases a new
model, every device takes it by itself. One more round closes, after which nothing is judged.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from deployments.targets.errors import TargetError
from deployments.targets.fleet.agents import AgentPlan, Look, look_at, start_agents, wait_until
from deployments.targets.fleet.asking import Asker
from deployments.targets.fleet.children import Child, Children
from deployments.targets.fleet.device import Device
from deployments.targets.fleet.evidence import read_arrived, read_cleared
from deployments.targets.fleet.first_model import score_first
from deployments.targets.fleet.invariants import (
    check_answers,
    check_channel,
    check_gain,
    check_models,
    check_spools,
    check_truths,
)
from deployments.targets.fleet.plan import Decided, Evidence, Outcome, Plan, Taken, Watcher
from deployments.targets.publish.channel import open_channel, read_champion
from deployments.targets.run.live import LiveModel, Runtime
from storage.base.store import Store

EMPTY_S, TAKEN_S, RUN_S = 180.0, 180.0, 3600.0
STOPPED = 3
"""The exit status of a command that a gate stopped."""


class FleetFailed(TargetError):
    """A simulation could not go on."""


class Fleet:
    """One simulation, from its first model to its invariants.

    Args:
        plan: What is simulated.
        children: Starts its processes, and ends them.
        watcher: Shows how far it is.
    """

    def __init__(self, plan: Plan, children: Children, watcher: Watcher) -> None:
        self.plan = plan
        self.outcome = Outcome(datetime.now(UTC))
        self._children = children
        self._watcher = watcher
        self._store = Store(plan.workspace)
        self._devices: list[Device] = []

    def run(self) -> Outcome:
        """Carries the simulation out.

        Raises:
            TargetError: What the simulation stands on failed. Whoever holds the children ends them.
        """
        self._run_recipe()
        if not self._note_release():
            raise FleetFailed(
                f"channel ({self.plan.channel}) must have a release before devices follow it; got "
                f"none in {self._store.display}; make it a target of the recipe"
            )
        live = Runtime(self.plan.channel, self._store, cache=self.plan.folder / "first").current
        self._start()
        last = len(self.plan.rounds) - 1
        with ExitStack() as stack:
            for device in self._devices:
                stack.callback(device.node.close)
            asker = Asker(self.plan, self._devices, self.outcome.ledger)
            for number in range(len(self.plan.rounds)):
                self._send(asker, number)
                if number < last:
                    self._judge(number)
            self._check(live)
        return self.outcome

    @contextmanager
    def _stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Shows a stage while it is at work; what it yields says how it ended."""
        notes: list[str] = []
        started_s = time.monotonic()
        self._watcher.begin(name)
        word = "failed"
        try:
            yield notes.append
            word = "done"
        finally:
            self._watcher.end(name, word, ", ".join(notes), time.monotonic() - started_s)

    def _follow(self, name: str, child: Child) -> Callable[[], None]:
        """Return what shows the last line of a process whenever it is another one."""
        shown: list[str] = []

        def show() -> None:
            if (line := " ".join(child.last_line.removeprefix("...").split())) not in shown[-1:]:
                shown.append(line)
                self._watcher.advance(name, 0, None, line)

        return show

    def _run_recipe(self) -> None:
        plan, name = self.plan, "first model"
        with self._stage(name) as note:
            child = self._children.start(
                "run", "run", plan.recipe, "--workspace", plan.workspace, "--json"
            )
            answer = child.finish(RUN_S, self._follow(name, child))
            note(f"model {str(json.loads(answer)['model_id'])[:12]}")

    def _note_release(self) -> int:
        """Note the channel's newest release; return its number, 0 without one."""
        champion = read_champion(open_channel(self._store, self.plan.channel))
        if champion is None:
            return 0
        self.outcome.releases[champion.number] = champion.model_id
        return champion.number

    def _start(self) -> None:
        plan, name = self.plan, "agents"
        agents = AgentPlan(
            plan.workspace, plan.channel, plan.device_class, plan.folder, plan.interval_s
        )
        with self._stage(name) as note:
            count = len(plan.devices)
            self._devices = start_agents(
                agents,
                plan.devices,
                self._children,
                lambda done, what: self._watcher.advance(name, done, count, what),
            )
            self._note_look(look_at(self._devices))
            note(f"{count} ready")

    def _note_look(self, look: Look) -> None:
        """Note which releases the devices have taken by now."""
        for seen in look.seen:
            if self.outcome.ledger.see(seen):
                answers = len(self.outcome.ledger.answers)
                self.outcome.taken.append(
                    Taken(seen.device, seen.release, seen.model_id, answers, seen.at)
                )

    def _send(self, asker: Asker, number: int) -> None:
        """Lets a round be asked and told, and waits until all spools are empty."""
        part, name = self.plan.rounds[number], f"round {number + 1}"
        total = sum(map(len, part.samples))
        with self._stage(name) as note:
            asker.ask_round(
                number, lambda done: self._watcher.advance(name, done, total, part.name)
            )
            truths = asker.tell_round(number)
            self._wait_empty(name)
            answers = len(self.outcome.ledger.find_round(number))
            right = self.outcome.ledger.describe_round(number)
            note(f"{part.name}: {answers:,} answers, {right}; {truths:,} truths")

    def _wait_empty(self, name: str) -> None:
        def show(look: Look, done: int) -> None:
            self._note_look(look)
            waiting = sum(look.waiting.values())
            self._watcher.advance(name, done, len(self._devices), f"{waiting} records to send")

        wait_until(
            self._devices,
            lambda look, device: look.waiting[device] == 0,
            "have sent all that is in its spool",
            EMPTY_S,
            show,
        )

    def _judge(self, number: int) -> None:
        """Lets what came back be judged; waits until every device has what it released."""
        plan, name = self.plan, f"feedback {number + 1}"
        with self._stage(name) as note:
            started_s = time.monotonic()
            child = self._children.start(
                f"feedback-{number + 1}",
                *("feedback", plan.recipe, "--workspace", plan.workspace, "--json"),
            )
            answer = child.finish(RUN_S, self._follow(name, child), accepted=(0, STOPPED))
            said = json.loads(answer)
            before = max(self.outcome.releases)
            release = self._note_release()
            self.outcome.decided.append(
                Decided(
                    round_number=number,
                    decision=str(said["decision"]),
                    evidence=tuple(map(Evidence.parse, said["evidence"])),
                    collected=int(said["collected"]),
                    receipt=said["receipt"],
                    release=release,
                    answers=len(self.outcome.ledger.answers),
                    at=datetime.now(UTC),
                    took_s=time.monotonic() - started_s,
                )
            )
            stopped = " (stopped by a gate)" if child.process.returncode == STOPPED else ""
            news = f", release {release}" if release > before else ""
            note(f"{said['decision']}{stopped}{news}")
        if release > before:
            self._wait_taken(release)

    def _wait_taken(self, release: int) -> None:
        name = f"release {release}"

        def show(look: Look, done: int) -> None:
            self._note_look(look)
            self._watcher.advance(name, done, len(self._devices), "taken by themselves")

        with self._stage(name) as note:
            wait_until(
                self._devices,
                lambda look, device: any(
                    seen.device == device and seen.release >= release for seen in look.seen
                ),
                f"take release {release}",
                TAKEN_S,
                show,
            )
            note(f"{len(self._devices)} devices took it by themselves")

    def _check(self, live: LiveModel) -> None:
        """Asks the first model what the others were asked, and holds the ledger against all."""
        plan, outcome, ledger = self.plan, self.outcome, self.outcome.ledger
        with self._stage("invariants") as note:
            outcome.first_scores = score_first(live, ledger.answers, plan.score)
            look = look_at(self._devices)
            self._note_look(look)
            closing = ledger.find_places(len(plan.rounds) - 1)
            arrived = read_arrived(self._store, list(plan.devices))
            outcome.invariants = [
                check_answers(ledger, arrived),
                check_truths(ledger, arrived),
                check_models(ledger, read_cleared(self._store)),
                check_channel(ledger, outcome.releases, plan.devices),
                check_gain(
                    [ledger.answers[place] for place in closing],
                    [outcome.first_scores[place] for place in closing],
                    live.model_id,
                ),
                check_spools(look.waiting, look.dropped),
            ]
            held = sum(found.held for found in outcome.invariants)
            note(f"{held} of {len(outcome.invariants)} held")
