"""The progress artifact moves, ends at 100 %, and does not cost a call a step."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from tasks.runtime import progress_artifact
from tasks.runtime.progress_artifact import ProgressArtifact


@pytest.mark.prefect
def test_it_shows_the_last_step_and_at_most_two_a_second(
    prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    def count(real: Callable[..., Any], **options: Any) -> Any:
        calls.append(options["progress"])
        return real(**options)

    for name in ("create_progress_artifact", "update_progress_artifact"):
        monkeypatch.setattr(
            progress_artifact, name, partial(count, getattr(progress_artifact, name))
        )
    now = [0.0]

    @task
    def train() -> None:
        shown = ProgressArtifact(
            "lepton-test-progress", clock=lambda: now[0], tell=lambda _, call: call()
        )
        for step in range(1, 101):
            now[0] += 0.02
            shown.show(step, 100, f"step {step}")

    @flow(name="shows-progress")
    def run() -> None:
        train()

    run()
    assert calls == [1.0, 26.0, 51.0, 76.0, 100.0]
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["lepton-test-progress"]))
    with get_client(sync_client=True) as client:
        (found,) = client._client.post(
            "/artifacts/filter", json={"artifacts": wanted.model_dump(mode="json")}
        ).json()
    assert (found["type"], float(found["data"]), found["description"]) == (
        "progress",
        100.0,
        "step 100",
    )


def test_outside_of_a_task_nothing_is_shown() -> None:
    ProgressArtifact("lepton-test-progress").show(1, 2, "")
