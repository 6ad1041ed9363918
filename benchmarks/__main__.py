"""Print a row for each comparison, with its goals; a machine's noise decides no build."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.files import Files
from benchmarks.machine import machine
from benchmarks.measure import Result
from benchmarks.pages import HEADER as PAGES_HEADER
from benchmarks.pages import page_figures
from benchmarks.rows import Row, rows
from tests.browser import find

QUICK_PAIRS = 1
HEADER = (
    f"{'work':42} {'against':30} {'time':>6} {'cpu':>6} {'goal':>5} {'memory':>7} {'goal':>5}"
    f" {'ours':>15}  {'met'}"
)


def main() -> None:
    """Measure, print, and write what was found as JSON."""
    options = _options()
    chosen = [each for each in rows() if options.only in each.work and (each.quick or not options.quick)]
    pairs = QUICK_PAIRS if options.quick else options.pairs
    here = machine()
    print(", ".join(f"{key} {value}" for key, value in here.items()))
    print(f"medians of {pairs}, whole processes in turn; a growth row has its exponent as time\n")
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        found = _measured(chosen, files, pairs)
        pages = _pages(files, Path(folder), pairs, options)
    kept = {"machine": here, "pairs": pairs, "rows": found, "pages": pages}
    options.json.write_text(json.dumps(kept, indent=1) + "\n")
    missed = sum(each["met"] is False for each in (*found, *pages))
    print(f"\n{missed} of {len(found) + len(pages)} miss a goal; {options.json}")
    if len(found) < len(chosen):
        raise SystemExit(f"{len(chosen) - len(found)} could not be measured")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs for each comparison")
    parser.add_argument("--only", default="", help="run the comparisons with this in their name; pages too")
    parser.add_argument("--quick", action="store_true", help="one pair of the short ones, in a minute")
    parser.add_argument("--json", type=Path, default=Path(".bench.json"), help="where the figures go")
    return parser.parse_args()


def _measured(chosen: Sequence[Row], files: Files, pairs: int) -> list[dict[str, object]]:
    """Print and return what the comparisons take."""
    print(HEADER)
    found = []
    for row in chosen:
        try:
            result = row.measure(files, pairs)
        except RuntimeError as error:
            print(f"{row.work:42} {error}", flush=True)
            continue
        finally:
            files.clear()
        found.append(_figures(row, result))
        print(_line(row, result), flush=True)
    return found


def _pages(files: Files, folder: Path, pairs: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Print and return what pages take."""
    if options.only and options.only not in "pages":
        return []
    if find() is None:
        print("\nno chromium or chrome: pages are written, not shown")
    print(f"\n{PAGES_HEADER}")
    found = []
    for each in page_figures(files, folder, pairs, is_quick=options.quick):
        print(each.line(), flush=True)
        found.append({**asdict(each), "met": each.met})
    return found


def _figures(row: Row, result: Result) -> dict[str, object]:
    return {
        "work": row.work,
        "against": row.against,
        "time": _time(row, result),
        "cpu": result.cpu,
        "memory": result.memory,
        "goals": {"time": row.time, "memory": row.memory},
        "met": _met(row, result),
        "ours": result.ours._asdict(),
        "other": result.other._asdict(),
    }


def _time(row: Row, result: Result) -> float:
    return result.exponent if row.grows else result.time


def _met(row: Row, result: Result) -> bool | None:
    """Return whether both goals were met; None where there is none."""
    pairs = [(row.time, _time(row, result)), (row.memory, result.memory)]
    told = [value <= goal for goal, value in pairs if goal is not None]
    return all(told) if told else None


def _line(row: Row, result: Result) -> str:
    met = {True: "yes", False: "NO", None: ""}[_met(row, result)]
    ours = f"{result.ours.seconds:.2f} s {result.ours.mebibytes:,.0f} MiB"
    return (
        f"{row.work:42} {row.against:30} {_time(row, result):6.2f} {result.cpu:6.2f} {row.time or '':>5}"
        f" {result.memory:7.2f} {row.memory or '':>5} {ours:>15}  {met}"
    )


if __name__ == "__main__":
    main()
