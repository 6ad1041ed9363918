"""Compare the coverage that ``make test`` measured with its floor; ``--all`` lists every missed line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

FLOOR = 96.0
"""Percent of the lines of src/ that the fast tests run in their own process or in a fork of it."""

SHOWN = 5


def main() -> int:
    """Print the total and where most lines are missed; return 1 if the total is below the floor."""
    found = json.loads(Path(".coverage.json").read_text("utf-8"))
    total = found["summary"]["percent_covered"]
    files = sorted(found["files"].items(), key=lambda each: -len(each[1]["missing_lines"]))
    every = "--all" in sys.argv[1:]
    for name, each in files if every else files[:SHOWN]:
        missing = each["missing_lines"]
        if missing:
            lines = f": {', '.join(map(str, missing))}" if every else ""
            print(
                f"{name} misses {len(missing)} of {len(missing) + len(each['executed_lines'])} lines{lines}"
            )
    print(f"{total:.1f} % of the lines are covered; the floor is {FLOOR} %")
    return 0 if total >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
