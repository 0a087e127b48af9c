"""What each stage leaves in the Prefect UI: a short page of figures."""

from prefect.artifacts import create_markdown_artifact

from gates.report import GateReport
from tasks.report import describe_outcome
from tasks.results import Outcome


def leave_artifact(stage: str, outcome: Outcome) -> None:
    """Leaves a stage's outcome as a Markdown artifact under the key `lepton-<stage>`."""
    facts = "\n".join(f"- {fact}" for fact in describe_outcome(outcome))
    if isinstance(outcome, GateReport):
        rows = "\n".join(
            f"| {'pass' if check.passed else 'FAIL'} | {check.about} | {check.rule} | {check.observed} | {check.limit} |"
            for check in outcome.checks
        )
        facts = f"| | about | rule | observed | limit |\n|---|---|---|---|---|\n{rows}"
    create_markdown_artifact(key=f"lepton-{stage.replace(' ', '-')}", markdown=f"# {stage}\n\n{facts}\n")
