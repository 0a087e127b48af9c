import pytest

from deployments.targets.trust.card import Card
from deployments.targets.trust.keys import KeyRing
from storage.base.store import Store
from tests.deployments.targets.material import make_body, make_card, make_onnx, sign_body
from tests.deployments.targets.run.forms.test_rows import TABLE
from tests.deployments.targets.run.forms.test_rows import make_card as make_row_card
from tests.deployments.targets.serve.asking import Held, Node, make_live


@pytest.fixture
def card(keys: KeyRing) -> Card:
    body = make_body(make_onnx(), {"cloud": None})
    return make_card(body, sign_body(body, keys))


@pytest.fixture
def pictures(card: Card, workspace: object) -> Node:
    """A node that answers for 8 x 8 pictures."""
    return Node(Held(make_live(card)), Store(str(workspace)))


@pytest.fixture
def rows() -> Node:
    """A node that answers for rows of speed, wear and grade."""
    return Node(Held(make_live(make_row_card(TABLE))))
