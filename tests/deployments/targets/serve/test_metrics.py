"""What a node counts and logs: each request once, under words that no client chooses."""

import logging

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.targets.serve.metrics import Histogram
from deployments.targets.serve.watch import JsonLines, name_route
from deployments.targets.trust.card import Card
from tests.deployments.targets.serve.asking import Held, Node, make_live
from tests.deployments.targets.serve.test_answers import DIGIT, make_tensor, write_npy

SAMPLE = write_npy(DIGIT)


def read_metrics(node: Node) -> dict[tuple[str, ...], float]:
    reply = node.get("/metrics")
    assert reply.headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    return {
        (sample.name, *(text for _, text in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status(pictures: Node, card: Card) -> None:
    for _ in range(3):
        assert pictures.post("/predict/digits", SAMPLE).status == 200
    assert pictures.post("/predict/digits", b"no").status == 422
    assert pictures.post("/predict/none", SAMPLE).status == 404
    two = make_tensor(shape=[2, 1, 8, 8], data=[0] * 128)
    assert pictures.post("/v2/models/digits/infer", {"inputs": [two]}).status == 200
    assert pictures.send("POST", "/predict/digits", [None]).status == 0
    found = read_metrics(pictures)
    assert found["lepton_requests_total", "predict", "200"] == 3
    assert found["lepton_requests_total", "predict", "422"] == 1
    assert found["lepton_requests_total", "predict", "404"] == 1
    assert found["lepton_requests_total", "predict", "499"] == 1
    assert found["lepton_requests_total", "infer", "200"] == 1
    assert found["lepton_answers_total", card.model_id] == 5
    assert found["lepton_request_seconds_count", "predict"] == 6
    assert found["lepton_request_seconds_bucket", "+Inf", "predict"] == 6
    assert found["lepton_request_rows_bucket", "1"] == 3
    assert found["lepton_request_rows_bucket", "2"] == 4
    assert found["lepton_request_rows_sum",] == 5
    assert found["lepton_requests_under_way",] == 1
    assert found["lepton_batch_requests_count",] == 5
    assert found["lepton_queue_requests",] == 0
    assert found["lepton_model_info", "cloud", card.model_id, "digits", "1"] == 1


def test_what_was_too_much_is_counted_as_shed(pictures: Node) -> None:
    pictures.app._app._admission._max_requests = 0
    assert pictures.post("/predict/digits", SAMPLE).status == 503
    found = read_metrics(pictures)
    assert found["lepton_sheds_total", "predict"] == 1
    assert found["lepton_requests_total", "predict", "503"] == 1


def test_a_swap_is_seen(card: Card) -> None:
    node = Node(Held(make_live(card)))
    node.held.previous = node.held.current
    node.held.current = make_live(card.model_copy(update={"model_id": "e" * 64}), 2)
    found = read_metrics(node)
    assert found["lepton_model_info", "cloud", "e" * 64, "digits", "2"] == 1
    assert found["lepton_model_info", "cloud", card.model_id, "digits", "1"] == 0


def test_no_client_chooses_a_label(pictures: Node) -> None:
    for path in ("/x", "/predict/" + "y" * 99, "/v2/z/infer", "/models/a/receipt", "//x"):
        pictures.get(path)
    routes = {key[1] for key in read_metrics(pictures) if key[0] == "lepton_requests_total"}
    assert routes == {"other", "predict", "infer", "models", "page"}
    assert name_route("") == name_route("/") == "page"


def test_a_histogram_counts_what_is_at_most_so_large() -> None:
    histogram = Histogram((1, 2, 4))
    for value in (0.5, 1, 1.5, 4, 9):
        histogram.add(value)
    assert histogram.list_buckets() == [("1", 2), ("2", 3), ("4", 4), ("+Inf", 5)]
    assert histogram.sum == 16


def test_a_request_keeps_its_id_or_gets_one(pictures: Node) -> None:
    asked = pictures.post("/predict/digits", SAMPLE, x_request_id="a-1.B")
    assert asked.headers[b"x-request-id"] == b"a-1.B"
    given = set()
    for bad in ("", "x" * 81, "a b", 'a"b', "a\nb"):
        given.add(pictures.get("/v2").headers[b"x-request-id"])
        reply = pictures.post("/predict/none", SAMPLE, x_request_id=bad)
        assert reply.status == 404
        given.add(reply.headers[b"x-request-id"])
    assert len(given) == 10
    assert not any(id[:1] == b"a" and b"B" in id for id in given)


def test_a_log_is_lines_of_json_without_what_was_asked(
    pictures: Node, card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "lepton.requests"):
        pictures.post("/predict/digits?name=hunter2", SAMPLE, x_request_id="r1")
        pictures.post("/predict/hunter2", SAMPLE, x_request_id="r2")
    lines = [orjson.loads(JsonLines().format(record)) for record in caplog.records]
    first, second = lines
    assert (first["route"], first["status"], first["model_id"], first["rows"]) == (
        "predict",
        200,
        card.model_id,
        1,
    )
    assert first["answer_id"] == f"{pictures.recorder.node}:1"
    assert (second["status"], "model_id" in second) == (404, False)
    assert "hunter2" not in str(lines)
    assert first["ms"] > 0


def test_a_fault_is_one_line_of_json() -> None:
    fault = ValueError("see https://user:hunter2@host/x")
    where = (ValueError, fault, None)
    record = logging.LogRecord("x", logging.ERROR, "", 1, "a\n%s", ("b",), where)
    line = JsonLines().format(record)
    assert "\n" not in line
    said = orjson.loads(line)
    assert (said["level"], said["message"]) == ("error", "a\nb")
    assert "ValueError" in said["error"]
    assert "hunter2" not in line
