"""Takes the README's pictures: a run's page, and the run in Prefect's UI.

`python -m benchmarks.pictures [FOLDER]` starts a Prefect server with a home of its own, runs the
digits recipe, and has a headless Chromium look. It needs `chromium` on the path, and no network.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.runtime.child import end_child

LEPTON = "from lepton_ai.cli import main; main()"
WAIT_S, COLORS = 120.0, 96
PAGE, UI = (1280, 1250), (1440, 900)


def main(folder: Path) -> None:
    """Takes the pictures, and writes them to a folder."""
    with tempfile.TemporaryDirectory() as home, open_server(Path(home)) as environment:
        workspace = str(Path(home) / "workspace")
        command = [sys.executable, "-c", LEPTON, "run", "digits", "-w", workspace, "--json"]
        run = json.loads(subprocess.run(command, env=environment, capture_output=True).stdout)
        take_picture(Path(run["report"]).as_uri(), folder / "run-page.png", PAGE)
        (flow_run,) = ask(environment["PREFECT_API_URL"] + "/flow_runs/filter", {"limit": 1})
        shown = environment["PREFECT_API_URL"].removesuffix("/api")
        take_picture(f"{shown}/runs/flow-run/{flow_run['id']}", folder / "prefect-ui.png", UI)


@contextmanager
def open_server(home: Path) -> Iterator[dict[str, str]]:
    """Opens a Prefect server with its UI for the block; yields the environment of its clients."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
        "DO_NOT_TRACK": "1",
        "LEPTON_CONFIG_DIR": str(home / "config"),
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", port]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
    try:
        wait_for(f"{url}/health")
        yield environment
    finally:
        end_child(child)


def wait_for(url: str) -> None:
    """Waits until a server answers.

    Raises:
        TimeoutError: It does not in `WAIT_S` seconds.
    """
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(1)
    raise TimeoutError(f"Prefect server ({url}) must answer in {WAIT_S:.0f} s; got nothing")


def ask(url: str, body: Mapping[str, Any]) -> Any:
    """Returns what an API answers to a posted document."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def take_picture(url: str, path: Path, size: tuple[int, int]) -> None:
    """Takes a picture of a page, in few colours so that it is small."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=20000"]
    shape = f"--window-size={size[0]},{size[1]}"
    command = [browser, *options, shape, f"--screenshot={path}", url]
    subprocess.run(command, check=True, capture_output=True)
    Image.open(path).convert("RGB").quantize(COLORS).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
