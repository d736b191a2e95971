# SPDX-License-Identifier: MIT
"""tools/lint/analyze.sh finds what each of its tools is there for (./dev lint and ./dev test full run it over src/)."""
import json
import os
import shutil
import subprocess

import pytest
from slicertest.paths import SOURCE

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("clang-format", "clang-tidy", "cppcheck"))),
                                reason="clang-format, clang-tidy or cppcheck is not installed")
GOOD = "int half(int a);\n\nint half(int a)\n{\n\treturn a / 2;\n}\n"


def analyze(tree, text):
    """Over a tree with one file."""
    shutil.copytree(SOURCE / "tools/lint", tree / "tools/lint", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".clang-format", ".clang-tidy"):
        shutil.copy(SOURCE / name, tree)
    (tree / "src").mkdir()
    (tree / "build").mkdir()
    (tree / "src/x.c").write_text(text)
    (tree / "build/compile_commands.json").write_text(
        json.dumps([{"directory": str(tree), "file": "src/x.c", "command": "cc -std=gnu17 -c src/x.c"}]))
    done = subprocess.run(["tools/lint/analyze.sh", "build"], cwd=tree, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout + done.stderr


def test_good_code_passes(tmp_path):
    code, said = analyze(tmp_path, GOOD)
    assert code == 0 and "found nothing in 1 files" in said, said


@pytest.mark.parametrize("text,finding", [
    (GOOD.replace("\treturn", "  return"), "src/x.c: not formatted"),
    (GOOD.replace("int half", "double half"), "bugprone-integer-division"),
    (GOOD.replace("\treturn a / 2;", "\tint b[2] = {a, a};\n\n\treturn b[2];"), "[arrayIndexOutOfBounds]"),
], ids=["clang-format", "clang-tidy", "cppcheck"])
def test_bad_code_is_found(tmp_path, text, finding):
    code, said = analyze(tmp_path, text)
    assert code == 1 and finding in said, said
