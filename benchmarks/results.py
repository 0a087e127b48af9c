"""RESULTS.md: one section a benchmark, each replaced by the command that measures it."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
# As this process begins: a section is written when its measuring, which is load, too, is over.
_LOAD_BEFORE = os.getloadavg()
_TITLE = (
    "# Results\n\nWritten by `make bench`; no figure by hand. Ratios hold within a run; absolute "
    "figures are the machine's.\n"
)


def read_section(name: str) -> str:
    """What the section of that name holds; empty if there is none."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = RESULTS.read_text("utf-8") if RESULTS.exists() else ""
    return text.split(begin, 1)[1].split(end, 1)[0].strip() if begin in text else ""


def write_section(name: str, body: str) -> None:
    """Puts a section into RESULTS.md, in place of the one of the same name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = RESULTS.read_text("utf-8") if RESULTS.exists() else _TITLE
    section = f"{begin}\n{body.strip()}\n{end}"
    if begin in text:
        head, rest = text.split(begin, 1)
        text = head + section + rest.split(end, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    RESULTS.write_text(text, "utf-8")


def make_table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def describe_machine(packages: list[str]) -> str:
    """One line: when, on what, with which versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = ", ".join(f"{value:.1f}" for value in _LOAD_BEFORE)
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {name_processors()} (load before: "
        f"{load}), Python {platform.python_version()}, {versions}."
    )


def name_processors() -> str:
    """How many processors of which kind this machine has."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in _read_cpu_lines()
            if line.startswith("model name")
        ),
        platform.processor() or platform.machine(),
    )
    return f"{os.cpu_count()} x {cpu}"


def _read_cpu_lines() -> list[str]:
    info = Path("/proc/cpuinfo")
    return info.read_text().splitlines() if info.exists() else []
