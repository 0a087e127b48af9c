"""What `predict`, `serve` and `edge run` say alike of the model that answers."""

from typing import TYPE_CHECKING

from lepton_ai.commands.common import say

if TYPE_CHECKING:
    from deployments.targets.run.live import Runtime

ADD = "add it where the workspace is, with: lepton devices add"


def warn_refused(runtime: "Runtime") -> None:
    """Says where a channel is refused, and that the model that was verified last answers."""
    if runtime.state.status == "refused":
        say(
            f"warning: channel {runtime.channel} is refused, the model that was verified last "
            f"answers: {runtime.state.reason}",
            "yellow",
        )


def say_model(runtime: "Runtime") -> None:
    """Says which model answers."""
    warn_refused(runtime)
    live = runtime.current
    release = live.verified.release
    say(f"{live.card.name} on channel {release.channel}: {release.title} answers")


def say_ready(host: str, port: int, scheme: str = "http") -> None:
    """Says where requests are answered, in the line that programs wait for."""
    shown = f"[{host}]" if ":" in host else host
    say(f"ready {scheme}://{shown}:{port}")
