"""Tells how a fork stands: its arguments, its threads, a variable, its folder."""

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Prints them, waits for its standard input to end, and ends with the status that is asked
    for.
    """
    import torch

    told = [*arguments, torch.get_num_threads(), os.environ.get("TOLD"), str(Path.cwd())]
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    return int(arguments[0])
