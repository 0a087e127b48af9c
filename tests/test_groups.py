"""What several tests share is made in one process, and whoever shares nothing runs anywhere."""

import pytest

made = []


@pytest.fixture(scope="module")
def shared() -> list[int]:
    made.append(1)
    return made


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_is_made_once_a_module_is_made_once(
    turn: int, shared: list[int], request: pytest.FixtureRequest
) -> None:
    (group,) = request.node.iter_markers("xdist_group")
    assert group.args == ("tests/test_groups.py",)
    assert shared == [1]


def test_who_shares_nothing_runs_anywhere(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("xdist_group") is None
