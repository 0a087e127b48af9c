"""What must hold of a fleet however it went: plain functions of the ledger and of what arrived."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from deployments.targets.fleet.ledger import Answered, Ledger

MOST_NAMED = 3


@dataclass(frozen=True)
class Invariant:
    """A sentence that must be true of every simulation.

    Attributes:
        name: The sentence.
        held: Whether it was true.
        detail: What was counted.
    """

    name: str
    held: bool
    detail: str


@dataclass(frozen=True)
class Arrived:
    """What the workspace holds of a fleet, after each signature was checked.

    Attributes:
        answers: The answer id of each answer in the batches, as often as it stands there.
        truths: The answer id of each truth in the batches, with the truth.
        refused: Batches whose signature or place was not what it must be, and why.
    """

    answers: Sequence[str] = ()
    truths: Sequence[tuple[str, JsonValue]] = ()
    refused: Sequence[str] = ()


def check_answers(ledger: Ledger, arrived: Arrived) -> Invariant:
    """Holds that every acknowledged answer arrived once, and nothing that nobody was told.

    A request whose reply was lost may have been answered: as many may have arrived besides.
    """
    told = {answer.answer_id for answer in ledger.answers}
    times = Counter(arrived.answers)
    lost = sorted(told - set(times))
    doubled = sorted(answer_id for answer_id, count in times.items() if count > 1)
    twice_told = len(ledger.answers) - len(told)
    stray = sorted(set(times) - told)
    faults = [
        *_name_faults("lost", lost),
        *_name_faults("arrived twice or more", doubled),
        *_name_faults(
            "arrived without an acknowledgement", stray if len(stray) > ledger.unanswered else ()
        ),
        *_name_faults("of batches refused", arrived.refused),
        *([f"{twice_told} answer ids were given twice"] if twice_told else []),
    ]
    return Invariant(
        name="each acknowledged answer arrived once",
        held=not faults and bool(told),
        detail=_tell(
            f"{len(told):,} answers acknowledged, {len(times):,} arrived"
            + (f"; {ledger.unanswered:,} requests had no reply" if ledger.unanswered else ""),
            faults,
        ),
    )


def check_truths(ledger: Ledger, arrived: Arrived) -> Invariant:
    """Holds that every acknowledged truth arrived as it was told."""
    found: dict[str, list[JsonValue]] = {}
    for answer_id, truth in arrived.truths:
        found.setdefault(answer_id, []).append(truth)
    lost = sorted(set(ledger.truths) - set(found))
    changed = sorted(
        answer_id
        for answer_id, truth in ledger.truths.items()
        if any(other != truth for other in found.get(answer_id, []))
    )
    doubled = sorted(answer_id for answer_id, truths in found.items() if len(truths) > 1)
    faults = [
        *_name_faults("lost", lost),
        *_name_faults("changed on the way", changed),
        *_name_faults("arrived twice or more", doubled),
    ]
    return Invariant(
        name="each acknowledged truth arrived once, unchanged",
        held=not faults,
        detail=_tell(f"{len(ledger.truths):,} truths acknowledged, {len(found):,} arrived", faults),
    )


def check_collected(
    answers: Iterable[Answered], row_ids: Sequence[int], ids: Mapping[str, int]
) -> Invariant:
    """Holds that the feedback dataset has a row for each answer that was to be collected, once.

    Args:
        answers: Those that were there when the feedback was collected last.
        row_ids: Of the dataset's rows.
        ids: The row id of each answer id.
    """
    expected = {ids[answer.answer_id] for answer in answers}
    times = Counter(row_ids)
    lost = sum(1 for row_id in expected if not times[row_id])
    doubled = sum(1 for count in times.values() if count > 1)
    faults = [
        *([f"{lost} are not in it"] if lost else []),
        *([f"{doubled} are in it twice or more"] if doubled else []),
    ]
    return Invariant(
        name="each collected answer is one row of the feedback dataset",
        held=not faults and bool(expected),
        detail=_tell(f"{len(expected):,} answers, {len(times):,} rows", faults),
    )


def check_models(ledger: Ledger, cleared: Collection[str]) -> Invariant:
    """Holds that every answer and every device's health named a model that a receipt clears.

    Args:
        ledger: The ledger.
        cleared: Ids of the models with a green receipt by a trusted key.
    """
    named = Counter(answer.model_id for answer in ledger.answers)
    named.update(seen.model_id for seen in ledger.seen)
    strange = sorted(model_id for model_id in named if model_id not in cleared)
    return Invariant(
        name="every answer named a model that a receipt clears",
        held=not strange and bool(named),
        detail=_tell(
            f"{len(ledger.answers):,} answers of {len(named)} models",
            _name_faults("without a receipt", [model_id[:12] for model_id in strange]),
        ),
    )


def check_channel(
    ledger: Ledger, releases: Mapping[int, str], devices: Collection[str]
) -> Invariant:
    """Holds that devices took only the channel's releases, never an older one, and the newest last.

    Args:
        ledger: The ledger.
        releases: The channel's model ids by number of the release, from its verified metadata.
        devices: The devices.
    """
    faults = []
    for device in sorted(devices):
        taken = [seen for seen in ledger.seen if seen.device == device]
        numbers = [seen.release for seen in taken]
        strange = [seen for seen in taken if releases.get(seen.release) != seen.model_id]
        if strange:
            faults.append(f"{device} had release {strange[0].release}, which is no such release")
        elif numbers != sorted(set(numbers)):
            faults.append(f"{device} went back: {_join(numbers)}")
        elif not numbers or numbers[-1] != max(releases, default=0):
            faults.append(f"{device} ended at {_join(numbers) or 'nothing'}")
    return Invariant(
        name="devices took each new release by themselves, and never an older one",
        held=not faults and bool(releases),
        detail=_tell(f"releases {_join(sorted(releases))} on {len(devices)} devices", faults),
    )


def check_gain(
    newest: Sequence[Answered], first: Sequence[float | None], model_id: str
) -> Invariant:
    """Holds that what drifted is answered better by the newest model than by the first one.

    Args:
        newest: Answers to what had drifted farthest, given after the last release was taken.
        first: The score of what the first model says of the same samples, in their order.
        model_id: The first model.
    """
    pairs = [
        (answer.score, score)
        for answer, score in zip(newest, first, strict=True)
        if answer.score is not None and score is not None
    ]
    changed = any(answer.model_id != model_id for answer in newest)
    name = "drift led to a better model"
    if not pairs:
        return Invariant(name, held=False, detail="nothing to compare")
    new, old = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return Invariant(
        name=name,
        held=changed and new > old,
        detail=_tell(
            f"of the last {len(pairs):,} samples the first model has {old:.4g}, the newest "
            f"{new:.4g}",
            [] if changed else ["the first model still answers"],
        ),
    )


def check_spools(records: Mapping[str, int | None], dropped: Mapping[str, int]) -> Invariant:
    """Holds that nothing waits on any device any more, and nothing was dropped.

    Args:
        records: Records in each device's spool; None where it did not say.
        dropped: Records that each device dropped for want of room.
    """
    faults = [
        f"{device} has {'an unknown number' if count is None else count}"
        for device, count in sorted(records.items())
        if count != 0
    ]
    faults += [f"{device} dropped {count}" for device, count in sorted(dropped.items()) if count]
    return Invariant(
        name="spools are empty at the end",
        held=not faults and bool(records),
        detail=_tell(f"{len(records)} devices", faults),
    )


def _name_faults(what: str, found: Sequence[str]) -> list[str]:
    """Say how many there are of a fault, and name the first."""
    if not found:
        return []
    more = ", ..." if len(found) > MOST_NAMED else ""
    return [f"{len(found)} {what}: {', '.join(found[:MOST_NAMED])}{more}"]


def _tell(counted: str, faults: Sequence[str]) -> str:
    return "; ".join([counted, *faults])


def _join(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
