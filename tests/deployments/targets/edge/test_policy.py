import pytest

from deployments.targets.edge.policy import parse_policy
from deployments.targets.errors import SpoolError


def test_all_keeps_all_and_says_so() -> None:
    policy = parse_policy("all")
    assert (policy.probability, policy.reason) == (1.0, "all")
    assert all(policy.keeps(f"d1:{number}") for number in range(100))


def test_a_sample_is_that_share_and_the_same_whenever_it_is_drawn() -> None:
    policy = parse_policy("sampled:0.25")
    drawn = [policy.keeps(f"d1:{number}") for number in range(4000)]
    assert (policy.probability, policy.reason) == (0.25, "sampled")
    assert drawn == [parse_policy("sampled:0.25").keeps(f"d1:{n}") for n in range(4000)]
    assert 0.22 < sum(drawn) / 4000 < 0.28
    other = [policy.keeps(f"d2:{number}") for number in range(4000)]
    assert drawn != other
    # Who keeps more keeps these, too.
    more = parse_policy("sampled:0.5")
    assert all(more.keeps(f"d1:{n}") for n in range(4000) if drawn[n])
    assert parse_policy("sampled:1").keeps("d1:1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "some",
        "sampled",
        "sampled:",
        "sampled:0",
        "sampled:-1",
        "sampled:1.1",
        "sampled:nan",
        "sampled:inf",
        "sampled:x",
        "all:1",
        "ALL",
    ],
)
def test_any_other_policy_is_refused(text: str) -> None:
    with pytest.raises(SpoolError, match=r"'sampled:P' with 0 < P <= 1"):
        parse_policy(text)
