"""A stage that resumes is tried once more after a crash, and after nothing else."""

import pytest
from prefect import flow

from tasks.runtime.errors import TIMED_OUT, WorkerFailed
from tasks.runtime.stage import resuming_stage

pytestmark = pytest.mark.prefect


@pytest.mark.parametrize(
    ("kinds", "attempts", "ends"),
    [
        ((None,), 2, True),
        ((None, None), 2, False),
        (("DivergedError",), 1, False),
        ((TIMED_OUT,), 1, False),
    ],
)
def test_only_a_lost_attempt_is_tried_again(
    kinds: tuple[str | None, ...], attempts: int, ends: bool, prefect_url: str
) -> None:
    tried: list[int] = []

    def train() -> str:
        tried.append(len(tried))
        if len(tried) <= len(kinds):
            raise WorkerFailed("the process was lost", kind=kinds[len(tried) - 1])
        return "trained"

    task = resuming_stage(train)

    @flow(name="tries")
    def try_it() -> str:
        return task()

    if ends:
        assert try_it() == "trained"
    else:
        with pytest.raises(WorkerFailed):
            try_it()
    assert len(tried) == attempts
