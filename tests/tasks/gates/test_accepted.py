"""The accepted version: which one it is."""

from storage.base.store import Store
from storage.upkeep.dropping import drop_versions
from tasks.gates.accepted import find_accepted, find_last_good
from tests.tasks.gates.mills import TABLE, collect, make_table, write_run


def test_the_accepted_version_is_the_newest_one_whose_gates_were_all_green(tmp_path):
    store = Store(tmp_path)
    first, second, third = (
        collect(tmp_path / str(seed), make_table(seed), TABLE) for seed in range(3)
    )
    assert find_accepted(store, third, TABLE).reason == "no version has been accepted yet"
    write_run(store, first, {}, minutes=0)
    write_run(store, second, {"model": False}, minutes=1)
    write_run(store, second, {"raw": False}, minutes=2)
    assert find_accepted(store, third, TABLE).version == first
    assert "itself was accepted" in find_accepted(store, first, TABLE).reason
    other = TABLE.model_copy(update={"missing": ("-",)})
    assert "data section has changed" in find_accepted(store, third, other).reason


def test_of_a_version_that_was_dropped_the_one_accepted_before_it_is_the_last_good_one(tmp_path):
    store = Store(tmp_path)
    first, second, third = (
        collect(tmp_path / str(seed), make_table(seed), TABLE) for seed in range(3)
    )
    write_run(store, first, {}, minutes=0)
    write_run(store, second, {}, minutes=1)
    drop_versions(second.dataset, [second.number], reason="old")
    assert find_last_good(store, first.name) == first
    drop_versions(first.dataset, [first.number], reason="old")
    assert find_last_good(store, first.name).digest == third.digest
