"""What the parameters of all families share."""

from typing import Annotated, ClassVar

from pydantic import Field

from lightning_modules.specs.base import Spec

Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=256)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Params(Spec):
    """Base of every family's parameters; a None is left to the network."""

    restores: ClassVar[bool] = False
    """Whether the network gives its input back, for objectives that ask for it."""
    steps: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that are steps of a window, which has at least as many."""
    objectives: ClassVar[tuple[str, ...]] = ()
    """What the network can be asked; empty: whatever it is shaped for."""

    @classmethod
    def suits(cls, objective: str, *, restores: bool) -> bool:
        """Tells whether networks of the family can be asked that.

        Args:
            objective: Its name.
            restores: Whether it asks a network to give its input back.
        """
        return cls.restores == restores and (not cls.objectives or objective in cls.objectives)
