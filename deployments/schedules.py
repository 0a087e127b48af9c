"""Lepton on a schedule, without a work pool.

`python -m deployments.schedules --workspace URL` serves until it is ended. With a work pool,
`prefect.yaml` holds the same deployments.
"""

from typing import Annotated

import typer
from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from flows.feedback import feedback
from flows.lifecycle import lifecycle
from flows.release import refresh_channels
from flows.run.server import prefect_server

NIGHTLY, DAILY, HOURLY = "0 3 * * *", "30 2 * * *", "15 * * * *"


def list_deployments(recipe: str, workspace: str, cron: str = NIGHTLY) -> list[RunnerDeployment]:
    """Lists a recipe's deployments: lifecycle and feedback by schedules, and the daily refresh.

    Args:
        recipe: Name of a recipe, or path to a YAML file.
        workspace: Folder or URL of the workspace.
        cron: When the lifecycle runs, in UTC.
    """
    # Found as an installed module: a file cannot import its siblings.
    by_module = EntrypointType.MODULE_PATH
    return [
        RunnerDeployment.from_flow(
            lifecycle,
            name=f"{recipe}-scheduled",
            parameters={"recipe": recipe, "workspace": workspace},
            cron=cron,
            entrypoint_type=by_module,
        ),
        RunnerDeployment.from_flow(
            feedback,
            name=f"{recipe}-feedback",
            parameters={"recipe": recipe, "workspace": workspace},
            cron=HOURLY,
            entrypoint_type=by_module,
        ),
        RunnerDeployment.from_flow(
            refresh_channels,
            name="channels-daily",
            parameters={"workspace": workspace},
            cron=DAILY,
            entrypoint_type=by_module,
        ),
    ]


def main(
    recipe: Annotated[
        str, typer.Option(help="Name of a recipe, or path to a YAML file.")
    ] = "digits",
    workspace: Annotated[str, typer.Option(help="Folder or URL of the workspace.")] = "./workspace",
    cron: Annotated[str, typer.Option(help="When the lifecycle runs, in UTC.")] = NIGHTLY,
) -> None:
    """Serve the scheduled deployments until this process is ended."""
    with prefect_server():
        serve(*list_deployments(recipe, workspace, cron))


if __name__ == "__main__":
    typer.run(main)
