"""What a flow declares is what its runs may do."""

import pytest

from deployments.targets.trust.clearance import LEAST_GATES
from flows.lifecycle import FLOW
from flows.run.flow import Flow


def test_stages_come_in_the_declared_order() -> None:
    assert FLOW.names[:2] == ("collect", "gate raw")
    FLOW.require_next("collect", ())
    FLOW.require_next("prepare", ("collect", "gate raw"))
    for name, done in (("prepare", ("collect",)), ("collect", FLOW.names), ("tune", ())):
        with pytest.raises(RuntimeError, match="must come as declared"):
            FLOW.require_next(name, done)


def test_publishing_requires_gates_that_are_stages() -> None:
    assert FLOW.required_gates == ("raw", "prepared", "model", "artifact")
    assert set(LEAST_GATES.find(FLOW.name)) <= set(FLOW.required_gates)
    with pytest.raises(ValueError, match=r"required_gates \(live\) of x must be stages"):
        Flow("x", FLOW.stages, ("raw", "live"))
