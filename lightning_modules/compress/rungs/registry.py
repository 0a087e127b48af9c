"""The table of artifacts with torch: how each is made."""

from lightning_modules.compress.rungs.base import Rung
from lightning_modules.compress.rungs.distilled import Distilled
from lightning_modules.compress.rungs.fp16 import Fp16
from lightning_modules.compress.rungs.fp32 import Fp32
from lightning_modules.compress.rungs.int8 import Int8
from lightning_modules.compress.rungs.int8_aware import Int8Aware
from lightning_modules.compress.rungs.int8_dynamic import Int8Dynamic
from lightning_modules.compress.rungs.learned import Int8Of
from lightning_modules.compress.rungs.pruned import Pruned
from lightning_modules.compress.rungs.weight_only import Int4Weights, Int8Weights
from storage.base.registry import Registry

RUNGS: Registry[Rung] = Registry("artifact", "lightning_modules")
_pruned, _distilled = Pruned(), Distilled()
for _rung in (
    *(Fp32(), Fp16(), Int8(), Int8Dynamic(), Int8Weights(), Int4Weights()),
    *(_pruned, Int8Of(_pruned, "pruned_int8")),
    *(_distilled, Int8Of(_distilled, "distilled_int8")),
    Int8Aware(),
):
    RUNGS.register(_rung.name, _rung)
