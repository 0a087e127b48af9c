"""What is deployed is there and takes what it is given: by prefect.yaml, and without a pool."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.schedules import list_deployments

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
FLOWS = {"flows.lifecycle.lifecycle", "flows.feedback.feedback", "flows.release.refresh_channels"}


@pytest.mark.parametrize(
    "deployment", DOCUMENT["deployments"], ids=[each["name"] for each in DOCUMENT["deployments"]]
)
def test_each_deployment_of_prefect_yaml(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), name)
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    assert all(schedule["active"] for schedule in deployment["schedules"])


def test_both_ways_deploy_the_same_flows() -> None:
    assert {each["entrypoint"] for each in DOCUMENT["deployments"]} == FLOWS
    served = list_deployments("digits", "/some/workspace")
    assert {each.entrypoint for each in served} == FLOWS
    assert len({each.name for each in served}) == len(served)
