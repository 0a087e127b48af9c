"""The table of forms that heads and made-up samples are built for."""

from typing import Any

from lightning_modules.heads.base import FormHead
from lightning_modules.heads.image import ImageFormHead
from lightning_modules.heads.series import SeriesHead
from lightning_modules.heads.table import TableHead
from storage.base.registry import Registry

HEADS: Registry[FormHead[Any]] = Registry("form of samples", "lightning_modules")
HEADS.register("image", ImageFormHead())
HEADS.register("table", TableHead())
HEADS.register("series", SeriesHead())
