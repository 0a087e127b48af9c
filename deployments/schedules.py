"""Lepton on a schedule, without a work pool.

`python -m deployments.schedules --workspace URL` serves until it is ended. With a work pool,
`prefect.yaml` holds the same deployments.
"""

from pathlib import Path
from typing import Annotated

import typer
from prefect import serve
from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from flows.errors import BusyError, FlowError
from flows.feedback import feedback
from flows.lifecycle import lifecycle
from flows.recipe.load import is_path, load_recipe
from flows.release import refresh_channels
from flows.run.server import prefect_server
from storage.base.errors import StorageError
from storage.base.store import Store, redact

NIGHTLY, DAILY, HOURLY = "0 3 * * *", "30 2 * * *", "15 * * * *"


def list_deployments(recipe: str, workspace: str, cron: str = NIGHTLY) -> list[RunnerDeployment]:
    """Lists a recipe's deployments: lifecycle and feedback by schedules, and the daily refresh.

    What is registered takes the place of what has its name, and is paused when serving ends: so
    they have other names than those of `prefect.yaml`.

    Args:
        recipe: Name of a recipe, or path to a YAML file.
        workspace: Folder or URL of the workspace.
        cron: When the lifecycle runs, in UTC.

    Raises:
        RecipeError: The recipe at the path is wrong, or none.
        FlowError: The workspace's address holds a secret, which Prefect would keep.
    """
    recipe, name = _locate_recipe(recipe)
    workspace = _locate_workspace(workspace)
    # Found as an installed module: a file cannot import its siblings.
    by_module = EntrypointType.MODULE_PATH
    return [
        RunnerDeployment.from_flow(
            lifecycle,
            name=f"{name}-served",
            parameters={"recipe": recipe, "workspace": workspace},
            cron=cron,
            entrypoint_type=by_module,
        ),
        RunnerDeployment.from_flow(
            feedback,
            name=f"{name}-feedback-served",
            parameters={"recipe": recipe, "workspace": workspace},
            cron=HOURLY,
            entrypoint_type=by_module,
        ),
        RunnerDeployment.from_flow(
            refresh_channels,
            name=f"{name}-channels-served",
            parameters={"workspace": workspace},
            cron=DAILY,
            entrypoint_type=by_module,
        ),
    ]


def _locate_recipe(recipe: str) -> tuple[str, str]:
    """Return a recipe as any process finds it, and a name that deployments may have."""
    if not is_path(recipe):
        return recipe, recipe
    return str(Path(recipe).expanduser().absolute()), load_recipe(recipe).name


def _locate_workspace(workspace: str) -> str:
    """Return a workspace as any process finds it."""
    store = Store(workspace)
    if store.display != store.url:
        raise FlowError(
            f"workspace ({store.display}) must hold no secret where runs are scheduled, for "
            "Prefect keeps and shows it; got one; leave it to the environment of what serves"
        )
    return store.url


def require_own(served: list[RunnerDeployment]) -> None:
    """Checks that no deployment is taken over, and paused in the end, that is another's.

    Raises:
        BusyError: One of them has the name of one that `prefect deploy` made, or that is served for
            another workspace.
    """
    with get_client(sync_client=True) as client:
        for deployment in served:
            name = f"{deployment.flow_name}/{deployment.name}"
            try:
                found = client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            given, kept = (each.parameters.get("workspace") for each in (deployment, found))
            if found.work_pool_name is None and given == kept:
                continue
            pool = f"work pool {found.work_pool_name}, " if found.work_pool_name else ""
            raise BusyError(
                f"deployment ({name}) must be one that is served for {redact(str(given))}; got "
                f"another's ({pool}workspace {redact(str(kept))}), which would be taken over and "
                f"paused; rename that one, or delete it: prefect deployment delete {name}"
            )


def main(
    recipe: Annotated[
        str, typer.Option(help="Name of a recipe, or path to a YAML file.")
    ] = "digits",
    workspace: Annotated[str, typer.Option(help="Folder or URL of the workspace.")] = "./workspace",
    cron: Annotated[str, typer.Option(help="When the lifecycle runs, in UTC.")] = NIGHTLY,
) -> None:
    """Serve the scheduled deployments until this process is ended."""
    try:
        load_recipe(recipe)
        served = list_deployments(recipe, workspace, cron)
        with prefect_server():
            require_own(served)
            serve(*served)
    except (FlowError, StorageError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
