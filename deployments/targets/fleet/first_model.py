"""What the first model would have said, had it stayed: the measure of every newer one."""

import json
from collections.abc import Sequence

from deployments.targets.fleet.ledger import Answered, Sample
from deployments.targets.fleet.plan import Score
from deployments.targets.run.forms.arrays import Raw
from deployments.targets.run.inputs import read_samples, read_values
from deployments.targets.run.live import LiveModel

JSON = "application/json"


def score_first(live: LiveModel, answers: Sequence[Answered], score: Score) -> list[float | None]:
    """Ask the first model what the devices were asked; return what each answer scores.

    Args:
        live: The first model.
        answers: What the devices said of which samples.
        score: How good an answer is.
    """
    return [
        score(_ask(live, answer.sample, answer.answer_id), answer.sample.truth)
        for answer in answers
    ]


def _ask(live: LiveModel, sample: Sample, where: str) -> dict[str, object]:
    told = live.tell(live.answer(_read(live, sample, where)), file=where)
    return dict(json.loads(told[0].to_json()))


def _read(live: LiveModel, sample: Sample, where: str) -> Raw:
    if sample.content_type == JSON:
        return read_values(json.loads(sample.body), live.card, where).raw
    return read_samples(sample.body, live.card, where).raw
