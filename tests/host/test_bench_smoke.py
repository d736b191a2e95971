# SPDX-License-Identifier: MIT
"""The program of the benchmarks measures: its quickest lines, once. What it counts: tests/lint/test_bench.py."""
import os
import subprocess
import sys

from slicertest import SOURCE


def test_it_measures(store):
    done = subprocess.run([sys.executable, SOURCE / "tests/bench/bench.py", "memory", "list"], capture_output=True, text=True,
                          timeout=300, env={**os.environ, "SLICER_TEST_STORE": str(store), "SLICER_BENCH_PAIRS": "1"})
    assert done.returncode == 0 and "1 interleaved pairs" in done.stderr, done.stderr
    assert [row.split(" | ")[0] for row in done.stdout.splitlines()[2:]] == ["| memory", "| list"], done.stdout
