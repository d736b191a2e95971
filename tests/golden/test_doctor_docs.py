# SPDX-License-Identifier: MIT
"""The list of checks in docs/troubleshooting.md is what `slicer doctor --list` says. SLICER_GOLDEN_UPDATE=1 writes it anew."""
import json
import os
import pathlib
import subprocess

PAGE = pathlib.Path(__file__).parents[2] / "docs/troubleshooting.md"
BEGIN, END = "<!-- checks: begin -->\n", "<!-- checks: end -->\n"


def checks_table():
    program = pathlib.Path(os.environ.get("SLICER_BUILD", "build")) / "src/slicer"
    done = subprocess.run([program, "doctor", "--list", "--json"], capture_output=True, text=True, timeout=20, check=True)
    rows = [f"| `{c['id']}` | {c['looks_at']} | {c['matters']} | {'yes' if c['fixable'] else ''} |" for c in json.loads(done.stdout)]
    return "\n".join(["| check | looks at | because | `--fix` |", "|---|---|---|---|", *rows, ""])


def test_the_page_lists_the_checks():
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{PAGE} has no place for the checks"
    wanted = before + BEGIN + checks_table() + END + after
    if os.environ.get("SLICER_GOLDEN_UPDATE"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "run tests/golden with SLICER_GOLDEN_UPDATE=1"
