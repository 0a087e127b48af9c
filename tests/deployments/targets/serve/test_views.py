"""What a node shows: health, the protocol's own pages, and the page at `/`."""

import re
from pathlib import Path

import pytest

from deployments.targets.serve.page import render_page
from deployments.targets.trust.card import Card
from tests.deployments.targets.serve.asking import Held, Node, make_live

RUN_SHEET = Path(__file__).parents[4] / "tasks" / "rendering" / "run.css"


def test_health_is_what_the_node_says(pictures: Node) -> None:
    assert pictures.get("/health").json == {"device": "d1"}


def test_the_protocol_says_what_is_there(pictures: Node, rows: Node, card: Card) -> None:
    server = pictures.get("/v2").json
    assert (server["name"], server["extensions"]) == ("lepton", ["binary_tensor_data"])
    assert pictures.get("/v2/health/live").json == {"live": True}
    assert pictures.get("/v2/health/ready").json == {"ready": True}
    assert pictures.get("/v2/models/digits").json == {
        "name": "digits",
        "versions": [card.model_id],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        ],
    }
    version = f"/v2/models/digits/versions/{card.model_id}"
    assert pictures.get(version).json == pictures.get("/v2/models/digits").json
    for path in ("/v2/models/digits", version):
        assert pictures.get(path + "/ready").json == {"name": "digits", "ready": True}
    for path in ("/v2/models/x", "/v2/models/x/ready", "/v2/models/digits/versions/" + "d" * 64):
        reply = pictures.get(path)
        assert (reply.status, list(reply.json)) == (404, ["error"])


def test_the_page_is_one_file_that_loads_nothing(pictures: Node) -> None:
    reply = pictures.get("/")
    text = reply.body.decode()
    assert reply.headers[b"content-type"].startswith(b"text/html")
    policy = reply.headers[b"content-security-policy"].decode()
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce.group(1)}">' in text
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"""(?:src|href)=["'](?!data:)|@import|url\(|https?://""", text)
    assert "__" not in text
    assert nonce.group(1) not in pictures.get("/").body.decode()


def test_texts_of_a_card_stay_texts_on_the_page(card: Card) -> None:
    wild = card.model_copy(update={"name": "</script><script>alert(1)</script>"})
    text, _ = render_page(make_live(wild))
    assert text.count("<script") == 2
    assert "</script><script>" not in text


@pytest.mark.skipif(not RUN_SHEET.is_file(), reason="the run's page is not on a device")
def test_the_page_has_the_colours_of_the_run_page(card: Card) -> None:
    text, _ = render_page(make_live(card))
    found = re.findall(r"(--[\w-]+): ([^;]+);", text)
    wanted = re.findall(r"(--[\w-]+): ([^;]+);", RUN_SHEET.read_text("utf-8"))
    assert len(found) > 15
    assert set(found) <= set(wanted)


def test_the_page_shows_the_model_that_answers_now(card: Card) -> None:
    held = Held(make_live(card))
    node = Node(held)
    assert card.model_id in node.get("/").body.decode()
    held.current = make_live(card.model_copy(update={"model_id": "e" * 64}), 2)
    assert "e" * 64 in node.get("/").body.decode()
