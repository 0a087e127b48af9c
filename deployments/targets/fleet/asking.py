"""Asks a fleet's devices round by round, and writes what they acknowledge into the ledger.

Truths are told when a round is over: a part of its own, after what was held back of the one before.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest

from pydantic import JsonValue

from deployments.targets.fleet.device import Device, DeviceFailed, NoReply
from deployments.targets.fleet.ledger import Answered, Ledger, Sample
from deployments.targets.fleet.plan import Plan


class Asker:
    """Stands for those who use the devices, and who learn later what was true.

    Args:
        plan: What is asked, and how many truths are told late.
        devices: The devices.
        ledger: Where it is written what they acknowledged.
    """

    def __init__(self, plan: Plan, devices: Sequence[Device], ledger: Ledger) -> None:
        self._plan = plan
        self._devices = devices
        self._ledger = ledger
        self._late: dict[str, list[tuple[str, JsonValue]]] = {name: [] for name in plan.devices}

    def ask_round(self, number: int, on_ask: Callable[[int], None]) -> None:
        """Asks every device in turn about its samples of a round.

        Args:
            number: The round.
            on_ask: Called with how many samples were asked about so far.

        Raises:
            NoReply: A device ended.
            DeviceFailed: One refused.
        """
        for done, (device, sample) in enumerate(self._list_turns(number), start=1):
            self._ask(device, number, sample)
            on_ask(done)

    def tell_round(self, number: int) -> int:
        """Tells the devices what is told when a round is over; returns how many truths that were.

        Raises:
            NoReply: A device did not reply.
            DeviceFailed: One did not acknowledge what it was told.
        """
        return sum(self._tell(device, number) for device in self._devices)

    def _list_turns(self, number: int) -> Iterator[tuple[Device, Sample]]:
        for turn in zip_longest(*self._plan.rounds[number].samples):
            for device, sample in zip(self._devices, turn, strict=True):
                if sample is not None:
                    yield device, sample

    def _ask(self, device: Device, number: int, sample: Sample) -> None:
        try:
            reply = device.node.ask(self._plan.channel, sample)
        except NoReply:
            self._ledger.unanswered += 1
            if not device.child.is_running:
                raise
            return
        self._ledger.answers.append(
            Answered(
                answer_id=reply.answer_id,
                device=device.name,
                round_number=number,
                model_id=reply.model_id,
                predicted=reply.predicted,
                sample=sample,
                score=self._plan.score(reply.predicted, sample.truth),
                at=datetime.now(UTC),
            )
        )

    def _tell(self, device: Device, number: int) -> int:
        """Tells a device what was held back, and a part of this round's; the rest is held back."""
        known: list[tuple[str, JsonValue]] = [
            (answer.answer_id, answer.sample.truth)
            for answer in self._ledger.find_round(number)
            if answer.device == device.name and answer.sample.truth is not None
        ]
        now = len(known) - round(len(known) * self._plan.late)
        truths = [*self._late[device.name], *known[:now]]
        self._late[device.name] = known[now:]
        if truths and device.node.tell(truths) != len(truths):
            raise DeviceFailed(f"device ({device.name}) must acknowledge {len(truths)} truths")
        self._ledger.truths.update(truths)
        return len(truths)
