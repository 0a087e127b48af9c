"""Leaves a short page of figures of each stage in the Prefect UI."""

from prefect.artifacts import create_markdown_artifact

from gates.engine.report import GateReport
from tasks.pages.parts.markdown import (
    escape_markdown,
    render_candidates_markdown,
    render_comparison_markdown,
    render_confusion_markdown,
    render_dataset_markdown,
    render_gate_markdown,
    render_training_markdown,
)
from tasks.pages.parts.page_data import Confusion, Dataset, Gate
from tasks.pages.report import compare_baselines, describe_outcome, fill_candidate, number_epochs
from tasks.runtime.outcomes import Collected, Compressed, Evaluated, Outcome, Prepared, Trained


def leave_artifact(stage: str, outcome: Outcome, labels: tuple[str, ...], folder: str) -> None:
    """Leaves a stage's outcome as a Markdown artifact under the key `lepton-<stage>`.

    Args:
        stage: Its name.
        outcome: What it handed on, or the report of a gate that stopped the run.
        labels: Names of the classes.
        folder: Where the run's pages are once it has ended, without secrets.
    """
    key = f"lepton-{stage.replace(' ', '-')}"
    create_markdown_artifact(
        key=key, markdown=_render(stage, outcome, labels, folder), description=stage
    )


def _render(stage: str, outcome: Outcome, labels: tuple[str, ...], folder: str) -> str:
    match outcome:
        case GateReport():
            page = f"{folder}/gate-{outcome.stage}.html"
            return render_gate_markdown(Gate.model_validate(outcome.model_dump(mode="json")), page)
        case Collected(dataset=dataset) | Prepared(dataset=dataset):
            return render_dataset_markdown(
                Dataset.model_validate(dataset.model_dump()), title=stage
            )
        case Trained(best_epoch=best):
            return render_training_markdown(number_epochs(outcome), best + 1)
        case Evaluated(confusion=confusion):
            matrix = (
                render_confusion_markdown(Confusion(labels=labels, counts=confusion))
                if confusion
                else ""
            )
            return "\n\n".join(
                part
                for part in (render_comparison_markdown(compare_baselines(outcome)), matrix)
                if part
            )
        case Compressed(candidates=candidates):
            return render_candidates_markdown([fill_candidate(entry) for entry in candidates])
        case _:
            facts = "\n".join(f"- {escape_markdown(fact)}" for fact in describe_outcome(outcome))
            return f"## {stage}\n\n{facts}\n"
