"""What a section says of the machine that it was measured on."""

import pytest

from benchmarks.results import describe_machine


def test_the_load_is_that_from_before_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe_machine(["numpy"])
    monkeypatch.setattr("os.getloadavg", lambda: (97.0, 98.0, 99.0))
    assert "97.0" not in describe_machine(["numpy"])
    assert "load before: " in before
