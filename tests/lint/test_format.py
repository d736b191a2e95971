# SPDX-License-Identifier: MIT
"""The list of files that are not formatted yet can only get shorter (./dev lint runs clang-format itself)."""
import os
import sys

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(SOURCE, "tools/lint"))
import format as formatting  # noqa: E402


def test_what_is_new_must_be_formatted():
    assert formatting.judge({"a.c", "b.c"}, {"a.c"}, ["a.c", "b.c"]) == ["b.c: not formatted: clang-format -i b.c"]


def test_what_is_formatted_leaves_the_list():
    assert "take it out" in formatting.judge({"a.c"}, {"a.c", "b.c"}, ["a.c", "b.c"])[0]


def test_the_known_ones_pass():
    assert formatting.judge({"a.c"}, {"a.c"}, ["a.c"]) == []
    assert formatting.judge(set(), set(), []) != []
