"""The head of tables."""

from lightning_modules.heads.rows import RowFormHead


class TableHead(RowFormHead):
    """Builds heads of rows of tables, (D,) float64."""
