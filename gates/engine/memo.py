"""Lets Great Expectations write down an expectation's configuration once, not at each look at it.

While it validates, it makes a new expectation of a configuration for each metric that it asks
for, and of each expectation a new configuration for each argument that it reads, 67 times for one
expectation: a third of a gate's processor time, for what stays the same throughout.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

_KEPT: ContextVar[dict[tuple[str, int], tuple[Any, Any]] | None] = ContextVar("kept", default=None)
"""What was made of each object, by its kind and the object's id; the object is held, so that no
other takes its id. None outside of a validation, where everything is as the vendor has it."""


@contextmanager
def make_once() -> Iterator[None]:
    """Keeps configurations of expectations, and the reverse, for the duration of the block.

    Only for blocks in which nobody changes a configuration that was handed out, as in
    `graph_validate`. Other threads are left alone.
    """
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def _keep(kind: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a method that, in a block of `make_once`, makes its result once for each object."""

    @wraps(make)
    def kept(self: Any) -> Any:
        found = _KEPT.get()
        if found is None:
            return make(self)
        if (kind, id(self)) not in found:
            found[kind, id(self)] = self, make(self)
        return found[kind, id(self)][1]

    return kept


def keep_made(owner: type, name: str) -> None:
    """Has a class keep what a method or property of it makes, in blocks of `make_once`.

    A class that has none of the name is left as it is: what is not kept is made again.

    Args:
        owner: The class, which is changed.
        name: Of a property, or of a method that takes nothing.
    """
    written = vars(owner).get(name)
    if isinstance(written, property) and written.fget is not None:
        setattr(owner, name, property(_keep(name, written.fget)))
    elif callable(written):
        setattr(owner, name, _keep(name, written))
