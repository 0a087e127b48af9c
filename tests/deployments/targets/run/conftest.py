import pytest

from deployments.targets.trust.card import Card
from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_body, make_card, make_onnx, sign_body


@pytest.fixture
def card(keys: KeyRing) -> Card:
    body = make_body(make_onnx(), {"edge": None})
    return make_card(body, sign_body(body, keys))
