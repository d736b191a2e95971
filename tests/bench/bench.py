#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures slicer against the least that could do the same, in pairs, one after the other: docs/benchmarks.md.

What cannot be measured is named at the end, and fails; nothing is left out."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import guest_lines  # noqa: E402
import host_lines  # noqa: E402
import jail_lines  # noqa: E402
import net_lines  # noqa: E402
import ssh_lines  # noqa: E402
from measure import PAIRS, Report  # noqa: E402
from slicertest import AGENT, IMAGE, SLICER  # noqa: E402

LINES = {**host_lines.LINES, **jail_lines.LINES, **net_lines.LINES, **guest_lines.LINES, **ssh_lines.LINES}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("lines", nargs="*", metavar="LINE", choices=[[], *LINES], help=" ".join(LINES) + " (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    return parser.parse_args()


def measure(report, name, directory):
    """One line that cannot be measured keeps no other from it."""
    report.name = name
    try:
        LINES[name](report, directory)
    except Exception:
        traceback.print_exc()
        return False
    return True


def main():
    args = arguments()
    report = Report(args.json)
    with tempfile.TemporaryDirectory(prefix="slicer-bench.") as name:
        directory = pathlib.Path(name)
        given = os.environ.get("SLICER_TEST_STORE")  # has image micro
        store = os.environ["SLICER_STORE"] = given or str(directory / "store")
        for made in ("/run/slicer", "/var/log/slicer"):
            os.makedirs(made, mode=0o750, exist_ok=True)
        if not given:
            subprocess.run([IMAGE, "build", "micro", "--store", store, "--agent", AGENT], check=True, stdout=subprocess.DEVNULL)
        print(f"{PAIRS} interleaved pairs each; {SLICER}\n", file=sys.stderr, flush=True)
        report.begin()
        failed = [name for name in args.lines or LINES if not measure(report, name, directory)]
    report.end()
    if failed:
        sys.exit(f"not measured: {' '.join(failed)}")


if __name__ == "__main__":
    main()
