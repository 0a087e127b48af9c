"""Raw tables: the columns must be what the recipe says, and none may give the answer away."""

from gates.raw.check_names import (
    DUPLICATES,
    FUTURE,
    INFINITE,
    MISSING,
    UNANSWERED,
    UNDATED,
    UNDECLARED,
)
from gates.raw.column_checks import judge_columns
from gates.raw.form import RawForm

LIMITS = {
    "max_missing_fraction": 0.2,
    "max_duplicate_fraction": 0.5,
    "min_class_balance": 0.002,
    "max_class_balance": None,
}
ROW_CHECKS = (MISSING, INFINITE, UNANSWERED, UNDECLARED, UNDATED, FUTURE, DUPLICATES)
FORM = RawForm("table", LIMITS, ROW_CHECKS, judge_columns)
