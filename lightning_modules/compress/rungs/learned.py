"""What the rungs have in common that a network is trained for."""

from abc import abstractmethod
from dataclasses import replace

from lightning_modules.compress.rungs.base import Material, NotMade, Rung
from lightning_modules.compress.rungs.int8 import make_int8
from lightning_modules.errors import DivergedError, SpecError
from lightning_modules.training.at_once import find_fitting
from lightning_modules.training.learner import Learner
from lightning_modules.training.tuning import GivenUp, Tuning


class Learned(Rung):
    """A network that is trained in the place of the recipe's own, once for all who need it."""

    def make(self, material: Material) -> bytes:
        """Returns the trained network's export."""
        return self.tune(material).fp32

    def tune(self, material: Material) -> Material:
        """Returns the material of the trained network.

        Raises:
            NotMade: It was given up, or is no network to train.
        """
        if self.name not in material.tuned:
            material.tuned[self.name] = self._try(material)
        found = material.tuned[self.name]
        if isinstance(found, str):
            raise NotMade(found)
        return found

    def _try(self, material: Material) -> Material | str:
        """Returns the material of the trained network, or why there is none."""
        if material.tuning is None:
            return "nothing is trained here"
        if find_fitting(material.learner.network) is not None:
            return "the network is fitted at once: there is nothing to train on"
        try:
            learner = self.learn(material, material.tuning)
        except (NotMade, GivenUp, DivergedError, SpecError) as error:
            return str(error)
        return replace(material, learner=learner)

    @abstractmethod
    def learn(self, material: Material, tuning: Tuning) -> Learner:
        """Returns the trained network.

        Raises:
            NotMade: There is no such network.
            GivenUp: It cannot win.
        """


class Int8Of(Rung):
    """8 bits of a network that was trained for another artifact.

    Args:
        learned: That artifact.
        name: Of this one.
    """

    def __init__(self, learned: Learned, name: str) -> None:
        self.learned = learned
        self.name = name

    def make(self, material: Material) -> bytes:
        """Returns the trained network in 8 bits."""
        return make_int8(self.learned.tune(material))
