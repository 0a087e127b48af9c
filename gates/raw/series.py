"""Raw series: tables of which the rows are in order of time, each time once for an entity."""

from gates.raw import table
from gates.raw.check_names import REPEATED, UNSORTED
from gates.raw.column_checks import judge_columns
from gates.raw.form import RawForm

ROW_CHECKS = (*table.ROW_CHECKS, REPEATED, UNSORTED)
FORM = RawForm("series", table.LIMITS, ROW_CHECKS, judge_columns)
