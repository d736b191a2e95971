# SPDX-License-Identifier: MIT
"""The page of the benchmarks and the program know the same lines, and the program counts as the page says."""
import ast
import json
import os
import re
import subprocess
import sys

import pytest
from slicertest.paths import SOURCE

sys.path.insert(0, str(SOURCE / "tests/bench"))
import bench  # noqa: E402
import measure  # noqa: E402


def run_bench(*words):
    return subprocess.run([sys.executable, SOURCE / "tests/bench/bench.py", *words], capture_output=True, text=True, timeout=60)


def test_every_line_is_explained():
    said = re.search(r"^  LINE\s+(.*?)\(default", run_bench("--help").stdout, re.S | re.M).group(1).split()
    page = (SOURCE / "docs/benchmarks.md").read_text()
    explained = page[page.index("## What the lines say"):page.index("## Results")]
    assert said and said == re.findall(r"^\| `(\w+)` \|", explained, re.M)


def test_a_line_that_is_not_there_is_an_error():
    done = run_bench("nonsense")
    assert done.returncode == 2 and "nonsense" in done.stderr


def whats():
    """A pattern for each thing that the program adds to its table: what it puts in is any text."""
    for path in (SOURCE / "tests/bench").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add" \
                    and getattr(node.func.value, "id", None) == "report":
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                yield "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts)


def strange_results(page):
    """Rows of the results that are none of the program's."""
    known = "|".join(whats())
    for row in re.findall(r"^\| .*$", page[page.index("## Results"):], re.M):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row != measure.HEAD.split("\n")[0] and (len(cells) != 7 or cells[0] not in bench.LINES or not re.fullmatch(known, cells[1])):
            yield row


PAGE = (SOURCE / "docs/benchmarks.md").read_text()
ROW = "| list | slicer vm list, one VM : /bin/true, process time | 1.3 ms | 0.7 ms | 1.86 | 1.71–2.33 | under 5 ms: met |"


def test_results_are_the_programs_table():
    assert len(list(whats())) > 10 and measure.HEAD in PAGE
    assert list(strange_results(PAGE)) == []


@pytest.mark.parametrize("row", [ROW.replace("| list", "| lists"), ROW.replace("one VM", "two VMs"), ROW.replace("| under 5 ms: met |", "|")])
def test_strange_results_are_found(row):
    assert ROW in PAGE
    assert list(strange_results(PAGE.replace(ROW, row))) == [row]


def test_a_line_is_the_median_of_its_ratios(capsys):
    report = measure.Report(as_json=False)
    report.name = "line"
    # The ratios are 2, 0.5 and 3: their median is that of no pair of medians.
    pairs = [(2, 1), (4, 8), (9, 3)]
    report.add("a : b", pairs, "MiB", 1, ("at most 2", lambda ours, theirs, ratio: (ours, theirs, ratio) == (4, 3, 2)))
    report.add("c : d", pairs, goal=("at most 1", lambda _, __, ratio: ratio <= 1))
    report.add("e : f", pairs[:1], "KiB", 1 / 2)
    assert capsys.readouterr().out == ("| line | a : b | 4.0 MiB | 3.0 MiB | 2.00 | 0.50–3.00 | at most 2: met |\n"
                                       "| line | c : d | 4000.0 ms | 3000.0 ms | 2.00 | 0.50–3.00 | at most 1: missed |\n"
                                       "| line | e : f | 1.0 KiB | 0.5 KiB | 2.00 | 2.00–2.00 |  |\n")
    first, second, third = report.lines
    assert (first["ours"], first["baseline"], first["pairs"], first["smallest"], first["largest"]) == (4, 3, 3, 0.5, 3)
    assert (first["met"], second["met"], third["met"], third["goal"]) == (True, False, None, None)
    with pytest.raises(AssertionError):
        report.add("nothing : measured", [])


def test_pairs_are_interleaved_after_one_that_does_not_count():
    calls = []
    assert measure.pairs(lambda: calls.append("a") or len(calls), lambda: calls.append("b") or len(calls), 2) == [(3, 4), (5, 6)]
    assert calls == ["a", "b"] * 3


def test_a_line_that_fails_keeps_no_other_from_it(monkeypatch, capsys):
    def fails(report, directory):
        raise OSError("no such machine")
    monkeypatch.setattr(bench, "LINES", {"bad": fails, "good": lambda report, _: report.add("a : b", [(2, 1)])})
    monkeypatch.setattr(sys, "argv", ["bench.py", "--json"])
    monkeypatch.setattr(os, "makedirs", lambda *_, **__: None)
    monkeypatch.setenv("SLICER_TEST_STORE", "/none")
    monkeypatch.setenv("SLICER_STORE", "/none")  # to be as it was afterwards
    with pytest.raises(SystemExit) as ended:
        bench.main()
    said = capsys.readouterr()
    assert ended.value.code == "not measured: bad" and "no such machine" in said.err
    assert [line["line"] for line in json.loads(said.out)] == ["good"]
