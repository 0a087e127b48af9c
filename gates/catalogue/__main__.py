"""`python -m gates.catalogue docs/gates.md` writes the page of all limits and expectations."""

import argparse
import sys
from pathlib import Path

from gates.catalogue.entries import list_entries
from gates.catalogue.page import format_page

parser = argparse.ArgumentParser(description="Writes every limit and stock expectation.")
parser.add_argument("page", nargs="?", type=Path, help="The page; standard output without it.")
to = parser.parse_args().page
text = format_page(list_entries())
if to is not None:
    to.write_text(text, "utf-8")
else:
    sys.stdout.write(text)
