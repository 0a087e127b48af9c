"""What is deployed is there and takes what it is given: by prefect.yaml, and without a pool."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from typer.testing import CliRunner

from deployments.schedules import list_deployments, main, require_own
from flows.errors import AbsentError, BusyError, FlowError
from flows.release import refresh_channels

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


def test_a_recipe_of_ones_own_is_served_by_its_name_from_wherever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "flows" / "recipes" / "digits.yaml").read_text("utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("name: digits", "name: mine"))
    monkeypatch.chdir(tmp_path)
    served = list_deployments("./mine.yaml", "here")
    names = ["mine-served", "mine-feedback-served", "mine-channels-served"]
    assert [each.name for each in served] == names
    assert served[0].parameters == {
        "recipe": str(tmp_path / "mine.yaml"),
        "workspace": str(tmp_path / "here"),
    }
    with pytest.raises(FlowError, match=r"s3://\*\*\*@bucket\) must hold no secret") as caught:
        list_deployments("digits", "s3://key:hunter2@bucket")
    assert "hunter2" not in str(caught.value)


def test_a_wrong_recipe_is_told_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("format: 1\nname: t\n")
    app = typer.Typer()
    app.command()(main)
    wrong = {f"{tmp_path}/mine.yaml": "has 1 fault", "digts": "did you mean digits"}
    for recipe, said in wrong.items():
        result = CliRunner().invoke(app, ["--recipe", recipe, "--workspace", str(tmp_path / "w")])
        assert result.exit_code == 1
        assert said in result.stderr
        assert isinstance(result.exception, SystemExit)


def test_what_is_served_has_names_of_its_own() -> None:
    served = [
        f"{each.flow_name}/{each.name}"
        for recipe in ("digits", "mnist")
        for each in list_deployments(recipe, "/some/workspace")
    ]
    deployed = {
        f"{each['entrypoint'].rpartition('.')[2]}/{each['name']}"
        for each in DOCUMENT["deployments"]
    }
    assert len(set(served)) == len(served)
    assert not set(served) & deployed


@pytest.mark.prefect
def test_nothing_of_another_s_is_taken_over_or_paused(prefect_url: str) -> None:
    own = list_deployments("taken", "/some/workspace")
    require_own(own)
    own[-1].apply()
    require_own(own)
    with pytest.raises(
        BusyError, match=r"got another's \(workspace /some/workspace\), which would"
    ):
        require_own(list_deployments("taken", "/another/workspace"))
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name="taken-pool", type="process")
        client.create_work_pool(pool)
        flow_id = client.read_flow_by_name("refresh_channels").id
        client.create_deployment(
            flow_id, "other-channels-served", work_pool_name="taken-pool", parameters={}
        )
        with pytest.raises(BusyError, match="work pool taken-pool"):
            require_own(list_deployments("other", "/some/workspace"))


@pytest.mark.prefect
def test_channels_of_no_workspace_are_not_renewed(prefect_url: str, tmp_path: Path) -> None:
    workspace = tmp_path / "mistyped"
    with pytest.raises(AbsentError, match="must be there for its channels to be renewed"):
        refresh_channels(str(workspace))
    assert not workspace.exists()
    (workspace / "datasets").mkdir(parents=True)
    assert refresh_channels(str(workspace)) == {}
