"""All benchmarks, one after the other, each in a process of its own: `make bench`."""

import subprocess
import sys

BENCHMARKS = (
    "stream",
    "stream_limits",
    "ingest",
    "step",
    "busy",
    "faults",
    "gates",
    "limits",
    "serve",
    "agent",
    "batch",
)


def main() -> None:
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
