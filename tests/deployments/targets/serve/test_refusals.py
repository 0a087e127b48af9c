"""What is not taken: said in one sentence, at the price of the request alone, never as a fault of
the node.
"""

import io
import re

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from deployments.targets.serve.answers import MAX_HEAD_BYTES
from deployments.targets.serve.bodies import MAX_BODY_BYTES, MAX_ROWS, MAX_TEXT_BYTES
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.text_style import TextStyle
from tests.deployments.targets.run.forms.test_rows import TABLE
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, Reply, make_live
from tests.deployments.targets.serve.test_answers import DIGIT, make_tensor, write_npy

SECRET = "hunter2hunter2"
POSTS = ["/predict/x", "/v2/models/x/infer", "/feedback", "/uplink", "/predict/x?name=%ff"]
KINDS = ["", "application/json", "text/csv", "image/png", "application/x-npy", "text/plain"]


def check_refusal(reply: Reply, status: int, says: str) -> None:
    assert (reply.status, reply.headers[b"content-type"]) == (status, b"application/json")
    said = reply.json
    assert list(said) == ["error"]
    assert re.search(says, said["error"]), said["error"]


@pytest.mark.parametrize(
    "path", ["/predict/digits", "/v2/models/digits/infer", "/feedback", "/uplink"]
)
def test_other_methods_are_refused(pictures: Node, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        reply = pictures.send(method, path, [b""])
        check_refusal(reply, 405, "must be POST; got " + method)
        assert reply.headers[b"allow"] == b"POST"


@pytest.mark.parametrize("path", ["/nothing", "/v2/nothing", "/v2/infer", "/predict", "/health/x"])
def test_unknown_paths_are_refused(pictures: Node, path: str) -> None:
    check_refusal(pictures.post(path, b"{}"), 404, "path must be one of this node's")


def test_what_is_only_looked_at_takes_no_body(pictures: Node) -> None:
    check_refusal(pictures.post("/health", b"{}"), 405, "must be GET")


def test_empty_bodies_are_refused(pictures: Node) -> None:
    for parts in ([b""], [b"", b""]):
        check_refusal(pictures.send("POST", "/predict/digits", [*parts]), 400, "got an empty one")


def test_large_bodies_are_refused_by_what_they_say_and_by_what_comes(pictures: Node) -> None:
    stated = pictures.post("/predict/digits", b"x", content_length=str(MAX_BODY_BYTES + 1))
    check_refusal(stated, 413, f"at most {MAX_BODY_BYTES} bytes; got {MAX_BODY_BYTES + 1}")
    part = b"x" * (MAX_BODY_BYTES // 4)
    check_refusal(pictures.send("POST", "/predict/digits", [part] * 5), 413, "at most")
    whole = b"[" + b"1," * (MAX_TEXT_BYTES // 2) + b"1]"
    for path in ("/predict/digits", "/v2/models/digits/infer", "/feedback"):
        check_refusal(pictures.post(path, whole, "application/json"), 413, f"{MAX_TEXT_BYTES}")
    admission = pictures.app._app._admission
    assert (admission.requests, admission.size_bytes) == (0, 0)


def test_a_tensor_s_body_is_no_larger_than_its_model_can_need(pictures: Node, rows: Node) -> None:
    """Of a picture of 64 bytes as many rows as are taken, and of three numbers a row."""
    for node, numbers in ((pictures, 64), (rows, 8 * 3)):
        path, most = "/v2/models/x/infer", MAX_ROWS * numbers
        path = path if node is rows else path.replace("x", "digits")
        length = {"inference_header_content_length": "2"}
        for size, status in ((most, 400), (most + 2 * MAX_HEAD_BYTES, 413)):
            assert node.post(path, b"{}" + b"0" * (size - 2), **length).status == status


def test_many_rows_are_refused_before_they_are_read(rows: Node) -> None:
    text = b"speed,wear,grade\n" + b"1,1,L\n" * (MAX_ROWS + 1)
    check_refusal(rows.post("/predict/x", text, "text/csv"), 413, f"at most {MAX_ROWS}; got")
    lists = [[1, 1, 0]] * (MAX_ROWS + 1)
    check_refusal(rows.post("/predict/x", lists), 413, f"at most {MAX_ROWS}; got")
    truths = [{"answer_id": "a:1", "truth": 1}] * (MAX_ROWS + 1)
    check_refusal(rows.post("/feedback", truths), 413, f"at most {MAX_ROWS}; got")


TWICE = [
    b'[{"speed": 1, "wear": 2, "speed": 3}]',
    b'{"speed":1,"grade":"a:b","grade":"L"}',
    b'[{"speed": 1}, {"sp\\u0065ed": 1, "speed": {"a:": [{"b": 1, "b": 1}]}}]',
    b'{"sp\\u0065ed": 1, "x": "\\u003a", "speed": 2}',
    b'{"x": %s{"y": 1, "y": 2}%s}' % (b"[" * 300, b"]" * 300),
]


@pytest.mark.parametrize("text", TWICE)
def test_a_key_that_stands_twice_is_refused(rows: Node, text: bytes) -> None:
    for path in ("/predict/x", "/feedback", "/v2/models/x/infer"):
        check_refusal(rows.post(path, text, "application/json"), 400, "each key once; got '[a-z]+'")


def test_what_stands_once_is_read_whatever_it_looks_like(rows: Node) -> None:
    odd = (
        b'{"speed": 1, "wear": 2, "gr\\u0061de": "L", "x": "\\u003a: \\"a\\":", "y": [[{"x": {}}]]}'
    )
    plain = rows.post("/predict/x", [{"speed": 1, "wear": 2, "grade": "L"}]).json["predictions"]
    assert rows.post("/predict/x", odd, "application/json").json["predictions"] == plain
    deep = b"[" * 900 + b'"\\u0061"' + b"]" * 900
    assert rows.post("/predict/x", deep, "application/json").status in (400, 422)


def test_a_text_is_in_what_was_learned_from_unless_the_request_says_otherwise() -> None:
    columns = (ColumnSpec(name="speed"), ColumnSpec(name="grade", vocabulary=("a", "é")))
    spec = TABLE.model_copy(
        update={"columns": columns, "shape": (2,), "file_style": TextStyle(encoding="latin-1")}
    )
    node = Node(Held(make_live(make_row_card(spec))))
    text = "speed,grade\n1,é\n"
    for kind, encoding in (
        ("text/csv", "latin-1"),
        ("", "latin-1"),
        ("text/csv; charset=UTF-8", "utf-8"),
        ('text/csv;header=present; Charset="utf-16-le"', "utf-16-le"),
    ):
        reply = node.post("/predict/x", text.encode(encoding), kind)
        (told,) = reply.json["predictions"]
        assert told["value"] == 2.0, kind
    for name in ("rot13", "punycode", "idna", "unicode-escape", "\0", ""):
        reply = node.post("/predict/x", text.encode(), f"text/csv; charset={name}")
        check_refusal(reply, 415, "charset known here; got '.*'; send utf-8")


def test_other_kinds_are_refused(pictures: Node) -> None:
    for kind in ("multipart/form-data; boundary=x", "image/heic", "application/xml"):
        check_refusal(
            pictures.post("/predict/digits", b"x", kind), 415, "got '" + kind.split(";")[0]
        )
    packed = pictures.post("/predict/digits", b"x", content_encoding="gzip")
    check_refusal(packed, 415, "content-encoding")


def test_a_client_that_leaves_is_let_go(pictures: Node) -> None:
    for parts in ([None], [b"x", None], [b"x", b"y", None]):
        assert pictures.send("POST", "/predict/digits", [*parts]).status == 0
    assert pictures.app._app._admission.requests == 0


def test_secrets_are_not_repeated(rows: Node, pictures: Node) -> None:
    url = f"https://user:{SECRET}@host/x?token={SECRET}"
    bodies_ = [
        orjson.dumps({"speed": url, "wear": 1, "grade": "L"}),
        f"speed,wear,grade\n{url},1,L\n".encode(),
        orjson.dumps({"inputs": [make_tensor(name=url, datatype=url, data=[url])]}),
        orjson.dumps({"inputs": [make_tensor(name="row", datatype=url)]}),
        orjson.dumps({"inputs": [make_tensor(name="row")], "outputs": [{"name": url}]}),
        orjson.dumps({"answer_id": url, "truth": url}),
        orjson.dumps({url: url}),
        b"\x93NUMPY\x01\x00" + len(url).to_bytes(2, "little") + url.encode(),
    ]
    for node in (rows, pictures):
        for body in bodies_:
            for path in (*POSTS, f"/predict/{url}", f"/predict/x?name={url}"):
                reply = node.post(path.replace("/x", "/digits") if node is pictures else path, body)
                assert SECRET.encode() not in reply.body, (path, body)
                assert 400 <= reply.status < 500, (path, body, reply.body)


NAMES = ["inputs", "outputs", "name", "shape", "datatype", "data", "id", "parameters"]
NAMES += ["speed", "wear", "grade", "answer_id", "truth"]
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["a:1", "row", "FP64", "H"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=64),
    JSON_VALUES.map(lambda value: orjson.dumps(value)),
    st.text(max_size=64).map(lambda text: f"speed,wear,grade\n{text}".encode()),
    st.text(max_size=64).map(lambda text: f"answer_id,truth\n{text}".encode()),
    st.binary(max_size=64).map(lambda data: b"\x93NUMPY\x01\x00" + data),
    st.binary(max_size=64).map(lambda data: b"\x89PNG\r\n\x1a\n" + data),
    st.integers(0, 120).map(lambda size: write_npy(DIGIT)[:size]),
)


@pytest.mark.parametrize("path", POSTS)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=BODIES, kind=st.sampled_from(KINDS))
def test_no_body_is_a_fault_of_the_node(rows: Node, path: str, body: bytes, kind: str) -> None:
    reply = rows.post(path, body, kind)
    assert reply.status < 500, (reply.body, body)
    if reply.status != 200:
        assert list(reply.json) == ["error"]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_bodies_are_refused(rows: Node, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    for depth in (900, 100_000):
        text = (opening * depth + "1" + closing * depth).encode()
        for path in POSTS:
            assert 400 <= rows.post(path, text, "application/json").status < 500
        truth = b'{"answer_id":"a:1","truth":' + text + b"}"
        assert 400 <= rows.post("/feedback", truth).status < 500


@pytest.fixture(scope="module")
def camera_pictures() -> list[bytes]:
    """Pictures with what cameras and programs write beside them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    found = []
    for kind, mode in (
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
        ("WEBP", "RGBA"),
        ("TIFF", "I;16"),
        ("GIF", "P"),
        ("BMP", "RGB"),
    ):
        stream = io.BytesIO()
        Image.new(mode, (9, 7)).save(stream, kind, exif=exif)
        found.append(stream.getvalue())
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_altered_pictures_are_no_fault_of_the_node(
    pictures: Node, camera_pictures: list[bytes], data: st.DataObject
) -> None:
    picture = bytearray(data.draw(st.sampled_from(camera_pictures)))
    for _ in range(data.draw(st.integers(0, 6))):
        picture[data.draw(st.integers(4, len(picture) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(picture)[: data.draw(st.integers(4, len(picture)))]
    assert pictures.post("/predict/digits", cut).status in (200, 422)
