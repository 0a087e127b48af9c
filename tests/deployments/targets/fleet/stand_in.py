"""A command in which running a recipe and judging feedback take no time; agents are the real ones.

`run` publishes a small made-up model on the channel, `feedback` the next one. What else `feedback`
does to the fleet is in the environment variable FAULT, for what a simulation must notice.
"""

import json
import os
import signal
import sys
from pathlib import Path

from deployments.targets.publish.channel import publish
from storage.base.store import Store, sha256_bytes
from tests.deployments.targets.material import make_channel, make_onnx, make_run

CHANNEL = "field"
FAULT = "LEPTON_TEST_FAULT"


def main() -> None:
    """Takes the place of `lepton`."""
    command, options = sys.argv[1], sys.argv[2:]
    workspace = options[options.index("--workspace") + 1] if "--workspace" in options else ""
    if command == "run":
        print(json.dumps({"model_id": publish_seed(workspace, 0)}))
    elif command == "feedback":
        _judge(workspace)
    else:
        from lepton_ai.cli import main as lepton

        lepton()


def publish_seed(workspace: str, seed: int) -> str:
    """Publishes the model of a seed, which counts the releases, with its receipt."""
    channel = make_channel(workspace, CHANNEL)
    expected = seed or None
    receipt, files = make_run(make_onnx(seed), {CHANNEL: expected}, channel.keys)
    Store(workspace).write(f"receipts/{sha256_bytes(receipt)}.json", receipt)
    release = publish(channel, receipt=receipt, files=files, artifact="int8", expected=expected)
    return release.model_id


def _judge(workspace: str) -> None:
    """Does harm, then publishes the next model, unless it is to do nothing."""
    fault = os.environ.get(FAULT, "")
    seen = len(Store(workspace).list("uplinks"))
    if fault == "kill":
        os.kill(int(Path(os.environ["LEPTON_TEST_PID"]).read_text()), signal.SIGKILL)
    if fault != "nothing":
        publish_seed(workspace, 1)
    said = {
        "collected": seen,
        "dataset": None,
        "decision": "nothing" if fault == "nothing" else "retrain",
        "evidence": ["made up"],
        "receipt": None,
    }
    print("working", file=sys.stderr)
    print(json.dumps(said))
