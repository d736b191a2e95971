# SPDX-License-Identifier: MIT
"""The lint rules hold in this tree, and each of them can fail."""
import os
import sys

import pytest

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(SOURCE, "tools/lint"))
import rules  # noqa: E402

LICENSE = "/* SPDX-License-Identifier: MIT */\n"


def long_function(lines):
    return LICENSE + "int f(void)\n{\n" + "\tg();\n" * lines + "}\n"


BAD = [
    (rules.rule_license, "src/base/x.c", "int x;\n"),
    (rules.rule_file_size, "src/base/x.c", LICENSE + "int f(void);\n" * 500),
    (rules.rule_function_size, "src/base/x.c", long_function(130)),
    (rules.rule_banned_calls, "src/base/x.c", "\tstrcpy(a, b);\n"),
    (rules.rule_banned_calls, "src/agent/x.c", "\tp = getpwnam(name);\n"),
    (rules.rule_banned_calls, "src/io/x.c", "\tgetaddrinfo(a, b, c, d);\n"),
    (rules.rule_cloexec, "src/base/x.c", "\tfd = open(path,\n\t\tO_RDONLY);\n"),
    (rules.rule_unfinished, "src/base/x.c", "/* TO" + "DO: later */\n"),
    (rules.rule_header_guard, "src/base/x.h", "#ifndef X_H\n#define X_H\n#endif\n"),
]
GOOD = [
    (rules.rule_license, "src/base/x.c", LICENSE),
    (rules.rule_function_size, "src/base/x.c", long_function(100)),
    (rules.rule_banned_calls, "src/base/x.c", "\t/* not strcpy(a, b) */ log(\"system(x)\");\n"),
    (rules.rule_banned_calls, "src/host/x.c", "\tg = getgrnam(name);\n"),
    (rules.rule_cloexec, "src/base/x.c", "\tfd = open(path,\n\t\tO_RDONLY | O_CLOEXEC);\n"),
    (rules.rule_header_guard, "src/base/x.h", "#ifndef SLICER_BASE_X_H\n#define SLICER_BASE_X_H\n#endif\n"),
]


@pytest.mark.parametrize("rule,path,text", BAD, ids=lambda v: getattr(v, "__name__", None))
def test_rule_finds(rule, path, text):
    assert list(rule(path, text))


@pytest.mark.parametrize("rule,path,text", GOOD, ids=lambda v: getattr(v, "__name__", None))
def test_rule_accepts(rule, path, text):
    assert not list(rule(path, text))


def test_the_tree_keeps_the_rules():
    assert [f"{path}:{line}: {message}" for path, line, message in rules.check(SOURCE)] == []
