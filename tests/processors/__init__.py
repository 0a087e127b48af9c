"""Processors as torch sees them, simulated: their flags, and that bf16 gains where they have it.

As a plug-in, `LEPTON_PLUGINS=tests.processors`, it stands for the processor that `LEPTON_PROCESSOR`
names in every process of a run.
"""

import pytest

FLAGS = (
    "cuda.is_available",
    "cuda.is_bf16_supported",
    "cpu._is_amx_tile_supported",
    "cpu._is_avx512_bf16_supported",
)
PROCESSORS: dict[str, dict[str, bool]] = {
    "plain": {},
    "avx512_bf16": {"cpu._is_avx512_bf16_supported": True},
    "amx": {"cpu._is_amx_tile_supported": True, "cpu._is_avx512_bf16_supported": True},
}
PROCESSOR = "LEPTON_PROCESSOR"


def stand_on(patch: pytest.MonkeyPatch, machine: dict[str, bool]) -> None:
    """Makes torch say the flags of a machine; those that it leaves out are not there."""
    for flag in FLAGS:
        patch.setattr(f"torch.{flag}", lambda flag=flag: machine.get(flag, False))
