"""The head of series."""

from torch import nn

from lightning_modules.errors import SpecError
from lightning_modules.heads.instance_norm import InstanceNormalised
from lightning_modules.heads.rows import RowFormHead
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import RowSample


class SeriesHead(RowFormHead):
    """Builds heads of windows of series, (L, D) float64."""

    def measure_features(
        self, head: nn.Module, spec: HeadSpec, sample: RowSample
    ) -> tuple[int, ...]:
        """Returns the shape (L, C) of a window behind the head, the forecast channels first."""
        shape = super().measure_features(head, spec, sample)
        if sample.forecast and (len(shape) != 2 or shape[1] < sample.forecast):
            raise SpecError(
                f"head ({spec.name!r}) must give windows (L, C) of at least {sample.forecast} "
                f"channels, those that are forecast first; got {shape}; correct it"
            )
        return shape

    def wrap_network(
        self, network: nn.Module, spec: HeadSpec, sample: RowSample, *, restores: bool
    ) -> nn.Module:
        """Returns the network, which sees each window by its own scale if the recipe says so."""
        if not spec.instance_norm:
            return network
        restored = sample.forecast or (len(sample.numbers) if restores else 0)
        return InstanceNormalised(network, len(sample.numbers), restored)
