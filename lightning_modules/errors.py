"""What can go wrong between a spec and a trained, exported network.

ModelError
|-- SpecError            a value of a spec, or a component named by it, cannot be used
|-- DivergedError        the loss became NaN, infinite or far too large
|-- CheckpointError      a checkpoint is torn, altered, or belongs to another network
`-- ExportError          the network could not be exported, or its export answers differently
"""


class ModelError(Exception):
    """A network could not be built, trained, kept or exported."""


class SpecError(ModelError):
    """A spec names a component or a value that cannot be used."""


class DivergedError(ModelError):
    """The loss stopped being a number, or exploded.

    Attributes:
        epoch: Epoch, from 0.
        step: Optimizer step, from 0.
        row_ids: Rows of the batch that showed it.
    """

    def __init__(self, message: str, *, epoch: int, step: int, row_ids: tuple[int, ...]) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.row_ids = row_ids


class CheckpointError(ModelError):
    """A checkpoint is torn, altered, or belongs to another network."""


class ExportError(ModelError):
    """The network could not be exported, or its export answers differently."""
