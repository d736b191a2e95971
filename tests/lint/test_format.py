# SPDX-License-Identifier: MIT
"""clang-format is asked about every C file (./dev lint runs it; here it is only seen to complain)."""
import os
import sys

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(SOURCE, "tools/lint"))
import format as formatting  # noqa: E402


def test_what_is_not_formatted_is_named(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/good.c").touch()
    (tmp_path / "src/bad.c").touch()
    monkeypatch.setattr(formatting, "is_formatted", lambda _, path: "good" in path)
    assert formatting.problems(tmp_path) == ["src/bad.c: not formatted: clang-format -i src/bad.c"]


def test_a_tree_without_files_is_a_mistake(tmp_path):
    assert formatting.problems(tmp_path) == ["no C files found"]
