"""The page in Chromium: a file is dropped on it and answered, a truth is told, a fault is shown."""

import base64
import json
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployments.targets.serve.exposure import Certificate
from deployments.targets.serve.server import serve_app
from tests.deployments.targets.serve.asking import Node
from tests.deployments.targets.serve.test_answers import write_picture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DROP = """(async () => {
  const data = Uint8Array.from(atob("%s"), (sign) => sign.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([data], "three.png", {type: "image/png"}));
  const event = new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true});
  document.getElementById("drop").dispatchEvent(event);
  return %s;
})()"""
TYPED = """(async () => {
  document.getElementById("row").value = "{bad";
  document.querySelector("#typed button").click();
  return %s;
})()"""
TOLD = """(async () => {
  document.getElementById("true-label").value = "3";
  document.querySelector("#truth button").click();
  return %s;
})()"""
LOADED = """(async () => {
  while (document.readyState !== "complete" || !document.getElementById("curl").textContent)
    await new Promise((done) => setTimeout(done, 20));
})()"""
CHAIN = """(async () => {
  while (document.getElementById("chain").hidden || !document.getElementById("receipt").href)
    await new Promise((done) => setTimeout(done, 20));
  return document.getElementById("links").innerText;
})()"""
HREF = "document.getElementById('receipt').href"
SETTLED = """await new Promise((done) => {
    const look = () => document.getElementById("%s").textContent.includes("%s")
      ? done(document.querySelector(".said").innerText) : setTimeout(look, 20);
    look();
  })"""


class Browser:
    """One page of a headless Chromium, by its DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._last = 0
        self.faults: list[Any] = []

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=20))
            if message.get("method") == "Runtime.exceptionThrown" or (
                message.get("method") == "Log.entryAdded"
                and message["params"]["entry"]["source"] != "network"
            ):
                self.faults.append(message["params"])
            if message.get("id") == self._last:
                return dict(message["result"])

    def run(self, script: str) -> str:
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        return str(done["result"].get("value", done))


@contextmanager
def open_browser(url: str, folder: Path) -> Iterator[Browser]:
    connect = pytest.importorskip("websockets.sync.client").connect
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "DevTools listening" in line)
        port = line.split("127.0.0.1:")[1].split("/")[0]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT"
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            target = json.load(reply)
        with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
            browser = Browser(socket)
            for domain in ("Page", "Runtime", "Log"):
                browser.call(f"{domain}.enable")
            browser.call("Page.navigate", url=url)
            yield browser
    finally:
        process.terminate()
        process.wait(20)
        assert process.stderr is not None
        process.stderr.close()


@contextmanager
def serve_node(node: Node, certificate: Certificate | None = None) -> Iterator[str]:
    """The node behind a real port, in a thread."""
    import uvicorn

    ready = threading.Event()
    address: list[str] = []
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run

    def remember(self: uvicorn.Server, sockets: Any = None) -> None:
        servers.append(self)
        run(self, sockets)

    def begin(host: str, port: int) -> None:
        address.append(f"http://{host}:{port}")
        ready.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.Server, "run", remember)
        serving = threading.Thread(
            target=serve_app,
            args=(node.app, "127.0.0.1", 0),
            kwargs={"on_ready": begin, "on_stop": lambda: None, "certificate": certificate},
        )
        serving.start()
        assert ready.wait(10)
        try:
            yield address[0]
        finally:
            servers[0].should_exit = True
            serving.join(20)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_sample_is_dropped_and_answered(pictures: Node, tmp_path: Path) -> None:
    picture = base64.b64encode(write_picture("PNG")).decode()
    data = {"name": "raw-digits", "number": 3, "digest": "0123456789abcdef"}
    signed = {
        "run": "lifecycle-run",
        "recipe": {"name": "digits", "digest": "f" * 64},
        "gates": [{"stage": "raw", "passed": True}],
        "datasets": {"raw": data},
    }
    receipt = json.dumps({"signatures": [], "signed": signed}).encode()
    object.__setattr__(pictures.held.current.verified, "receipt", receipt)
    with serve_node(pictures) as url, open_browser(url, tmp_path / "browser") as browser:
        browser.run(LOADED)
        said = browser.run(DROP % (picture, SETTLED % ("facts", "answer")))
        held = pictures.held.current
        for text in ("three.png", held.model_id[:12], f"{pictures.recorder.node}:1", "confidence"):
            assert text in said
        chain = browser.run(CHAIN)
        for text in ("lifecycle-run", "gate raw", "green", "raw-digits@3 0123456789ab"):
            assert text in chain
        assert browser.run(HREF) == f"{url}/models/{held.model_id}/receipt"
        assert "truth" in browser.run(TOLD % (SETTLED % ("facts", "truth")))
        assert pictures.workspace is not None
        assert len(pictures.workspace.listdir(f"uplinks/{pictures.recorder.node}")) == 1
        assert "must be JSON" in browser.run(TYPED % (SETTLED % ("answer", "must be JSON")))
        assert browser.faults == []
