"""The accepted version: which one it is."""

from storage.base.store import Store
from tasks.gates.accepted import find_accepted
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
