"""`python -m gates.catalogue docs/gates.md` writes the page of all limits and expectations."""

import sys
from pathlib import Path

from gates.catalogue.entries import list_entries
from gates.catalogue.page import format_page

page = format_page(list_entries())
if len(sys.argv) > 1:
    Path(sys.argv[1]).write_text(page, "utf-8")
else:
    sys.stdout.write(page)
