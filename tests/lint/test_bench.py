# SPDX-License-Identifier: MIT
"""The page of the benchmarks and the program know the same lines."""
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def bench(*words):
    return subprocess.run([sys.executable, SOURCE / "tests/bench/bench.py", *words], capture_output=True, text=True, timeout=60)


def test_every_line_is_explained():
    said = re.search(r"^  LINE\s+(.*?)\(default", bench("--help").stdout, re.S | re.M).group(1).split()
    page = (SOURCE / "docs/benchmarks.md").read_text()
    explained = page[page.index("## What the lines say"):page.index("## Results")]
    assert said and said == re.findall(r"^\| `(\w+)` \|", explained, re.M)


def test_a_line_that_is_not_there_is_an_error():
    done = bench("nonsense")
    assert done.returncode == 2 and "nonsense" in done.stderr
