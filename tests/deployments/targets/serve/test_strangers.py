"""Programs that nobody here wrote ask a node: NVIDIA's client, and Schemathesis by the document.

Both live in environments of their own, which are installed when they are not there.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

import benchmarks
from benchmarks.peers import make_environment
from tests.deployments.targets.serve.asking import Node
from tests.deployments.targets.serve.test_page import serve_node

pytestmark = pytest.mark.slow
TRITON = ("tritonclient[http]==2.73.0", "numpy==2.4.6")
SCHEMATHESIS = ("schemathesis==4.32.5",)
EXAMPLES = os.environ.get("LEPTON_EXAMPLES", "1000")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
"""What holds of every reply. A text that the document allows may still be no CSV."""


def test_a_client_of_the_protocol_understands_all(pictures: Node) -> None:
    program = Path(benchmarks.__path__[0]) / "serve_oracle.py"
    python = make_environment(TRITON)
    with serve_node(pictures) as url:
        command = [str(python), "-P", str(program), url.removeprefix("http://"), "digits"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    said = json.loads(done.stdout)
    assert [said[name] for name in ("live", "ready", "model_ready", "same")] == [True] * 4
    assert said["binary"] == [True] * 4
    assert said["refused"].startswith("[404] model (nothing)")


@pytest.mark.parametrize("kind", ["pictures", "rows"])
def test_every_reply_is_one_that_the_document_promises(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    node: Node = request.getfixturevalue(kind)
    program = make_environment(SCHEMATHESIS).with_name("schemathesis")
    with serve_node(node) as url:
        command = [str(program), "run", f"{url}/openapi.json", "--max-examples", EXAMPLES]
        command += ["--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=3600
        )
    assert done.returncode == 0, done.stdout[-4000:]
    assert node.app._metrics.under_way == 0
    statuses = {status for _, status in node.app._metrics.requests}
    assert not {status for status in statuses if status >= 500}
