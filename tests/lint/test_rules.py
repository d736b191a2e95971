# SPDX-License-Identifier: MIT
"""The lint rules hold in this tree, and each of them can fail."""
import os
import re
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
    (rules.rule_function_size, "src/base/x.c", long_function(61)),
    (rules.rule_function_size, "tests/unit/x.c", long_function(91)),
    (rules.rule_banned_calls, "src/base/x.c", "\tstrcpy(a, b);\n"),
    (rules.rule_banned_calls, "src/agent/x.c", "\tp = getpwnam(name);\n"),
    (rules.rule_banned_calls, "src/io/x.c", "\tgetaddrinfo(a, b, c, d);\n"),
    (rules.rule_banned_calls, "src/vm/x.c", "\tdeadline = clock_realtime_ns() + 5;\n"),
    (rules.rule_cloexec, "src/base/x.c", "\tfd = open(path,\n\t\tO_RDONLY);\n"),
    *[(rules.rule_cloexec, "src/base/x.c", f"\tx = {call};\n\ty = O_CLOEXEC;\n") for call in (
        "accept(fd, NULL, NULL)", "accept4(fd, NULL, NULL, 0)", "pipe(fds)", "pipe2(fds, O_NONBLOCK)", "dup(fd)", "dup3(a, b, 0)",
        "fopen(path, \"r\")", "fopen(\"file\", \"w+\")", "mkstemp(path)", "mkostemp(path, 0)", "fcntl(fd, F_DUPFD, 3)", "creat(path, 0600)",
        "socketpair(AF_UNIX, SOCK_STREAM, 0, fds)", "recvmsg(fd, &message, 0)", "open(a, O_RDONLY) + f(O_CLOEXEC)")],
    (rules.rule_unfinished, "src/base/x.c", "/* TO" + "DO: later */\n"),
    (rules.rule_header_guard, "src/base/x.h", "#ifndef X_H\n#define X_H\n#endif\n"),
    (rules.rule_layer_includes, "src/net/x.c", '#include "vm/vm.h"\n'),
    (rules.rule_layer_includes, "src/vm/x.h", '#include "api/api.h"\n'),
    (rules.rule_layer_includes, "src/vm/x.c", '#include "vm.h"\n'),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_free char *name;\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_free char *a = b, *c;\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_error struct error *e, *f = NULL;\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_free char *a = f(b, c),\n\t\t\t*d;\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_strv char **words[f(a == b)];\n"),
    (rules.rule_cleanup_initialised, "tests/unit/x.c", "\tcleanup_parsed struct parsed p;\n"),
    *[(rules.rule_owned, "src/base/x.c", f"int f(void)\n{{\n\t{line}\n\treturn g(0);\n}}\n") for line in (
        "char *s = str_fmt(a);\n\tg(s);", "const char *s = fs_join(a, b);\n\tif (x == s)\n\t\tg(s[0]);", "char **s = strv_split(a, b);")],
    (rules.rule_error_last, "src/base/x.h", "int f(struct error **err, int x);\n"),
    (rules.rule_error_last, "src/base/x.h", "int f(const char *s, struct error **err,\n      int x);\n"),
    *[(rules.rule_names, "src/base/x.c", line + "\n") for line in (
        "int fileSize;", "int FileSize;", "static char *readAll(int fd)", "static char *ReadAll(int fd)", "enum Kind {", "enum kind { KindOne };",
        "int f(int badName);", "#define badThing(x) 1", "#define Bad(x) 1", "struct file_Entry {", "\tint a, bigOne;", "int LIMIT = 3;",
        "static const struct point ORIGIN = {0};")],
    (rules.rule_names, "tests/unit/x.c", "int fileSize;\n"),
    (rules.rule_names, "src/base/x.h", "typedef struct file file;\n"),
    (rules.rule_names, "src/base/x.h", "typedef int file_t;\n"),
    (rules.rule_names, "src/base/x.c", "#define limit 3\n"),
    (rules.rule_words, "docs/x.md", "See is" + "sue 4.\n"),
    (rules.rule_words, "src/base/x.c", "/* in /wo" + "rk/x */\n"),
    (rules.rule_words, "README.md", "A seam" + "less experience.\n"),
    (rules.rule_spaces, "docs/x.md", "a \n"),
    (rules.rule_spaces, "src/base/x.c", "        int x;\n"),
    (rules.rule_spaces, "src/base/x.py", "x = 1"),
]
GOOD = [
    (rules.rule_license, "src/base/x.c", LICENSE),
    (rules.rule_function_size, "src/base/x.c", long_function(58)),
    (rules.rule_function_size, "tests/unit/x.c", long_function(80)),
    (rules.rule_banned_calls, "src/base/x.c", "\t/* not strcpy(a, b) */ log(\"system(x)\");\n"),
    (rules.rule_banned_calls, "src/host/x.c", "\tg = getgrnam(name);\n"),
    (rules.rule_cloexec, "src/base/x.c", "\tfd = open(path,\n\t\tO_RDONLY | O_CLOEXEC);\n"),
    *[(rules.rule_cloexec, "src/base/x.c", f"\tx = {call};\n") for call in (
        "accept4(fd, NULL, NULL, SOCK_CLOEXEC)", "fopen(f(path, 1), \"re\")", "mkostemp(path, O_CLOEXEC)", "fcntl(fd, F_DUPFD_CLOEXEC, 3)",
        "dup2(a, b)", "vmm->pipe(vmm)", "/* pipe(7) */ 1", "open_files(path)")],
    (rules.rule_header_guard, "src/base/x.h", "#ifndef SLICER_BASE_X_H\n#define SLICER_BASE_X_H\n#endif\n"),
    (rules.rule_file_size, "src/base/x.c", LICENSE + "int f(void);\n" * 300),
    (rules.rule_file_size, "tests/unit/x.c", LICENSE + "int f(void);\n" * 500),
    (rules.rule_unfinished, "src/base/x.c", "/* later versions may send more */\n"),
    (rules.rule_layer_includes, "src/vm/x.c", '#include "base/str.h"\n#include "vm/vm.h"\n#include <string.h>\n'),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_free char *a = NULL, *b = f(a);\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_free char *a = f(b, c),\n\t\t\t*d = ({ 1; 2; });\n\tint e, g;\n"),
    (rules.rule_cleanup_initialised, "src/base/x.c", "\tcleanup_list struct list list = {0}, *more[2] = {NULL, NULL};\n"),
    (rules.rule_cleanup_initialised, "src/base/x.h", "#define cleanup_free __attribute__((cleanup(mem_freep)))\n"),
    *[(rules.rule_owned, "src/base/x.c", f"char *f(void)\n{{\n\t{line}\n}}\n") for line in (
        "cleanup_free char *s = str_fmt(a);", "char *s = str_fmt(a);\n\n\treturn s;", "char *s = str_dup(a);\n\n\tx->s = s;",
        "char *s = str_dup(a);\n\n\ttake_name(x, s);", "char *s = str_dup(a);\n\n\tmem_freep(&s);", "char *s = find(a);\n\tg(s);",
        "char *s = str_dup(a);\n\n\tx->s = TAKE_PTR(s);")],
    (rules.rule_error_last, "src/base/x.h", "int f(int x, struct error **err);\n"),
    (rules.rule_error_last, "src/base/x.h", "int f(struct error **err, int code, const char *fmt, ...);\n"),
    (rules.rule_names, "src/base/x.c", "static int file_size;\n#define LIMIT 3\n#define cleanup_file a(b)\ntypedef void f_fn(int);\n"),
    (rules.rule_names, "src/base/x.c", "enum kind { KIND_ONE = 1 };\n\tElf64_Ehdr head;\n\tx = f(\"%\" PRIu64, 10UL, 0xFFu, \"BadName\");\n"
     "\treturn LIMIT;\n\tsyscall(SYS_bpf);\n#define each_word(x) 1\n#include <Foo.h>\n"),
    (rules.rule_words, "docs/x.md", "What is at issue: 4 files in /home/u/work/x.\n"),
    (rules.rule_spaces, "src/base/x.c", "/* a\n * b */\n\tint x;\n\t    y;\n"),
]


@pytest.mark.parametrize("rule,path,text", BAD, ids=lambda v: getattr(v, "__name__", None))
def test_rule_finds(rule, path, text):
    assert list(rule(path, text))


@pytest.mark.parametrize("rule,path,text", GOOD, ids=lambda v: getattr(v, "__name__", None))
def test_rule_accepts(rule, path, text):
    assert not list(rule(path, text))


def test_the_tree_keeps_the_rules():
    assert [f"{path}:{line}: {message}" for path, line, message in rules.check(SOURCE)] == []


def test_every_rule_has_samples():
    assert {rule for rule, _, _ in BAD} == {rule for rule, _, _ in GOOD} == set(rules.RULES)


def test_a_check_that_is_off_has_a_reason():
    with open(os.path.join(SOURCE, ".clang-tidy"), encoding="utf-8") as file:
        text = file.read()
    off = re.findall(r"(?<=[\s,])-([a-z][\w.-]+)", text.partition("Checks:")[2])
    assert off and set(off) == set(re.findall(r"^# ([\w.-]+): \S+ \S+", text, re.M))
    with open(os.path.join(SOURCE, "tools/lint/cppcheck.txt"), encoding="utf-8") as file:
        assert without_reason(file.read()) == []


def without_reason(suppressions):
    """Groups of lines, with an empty line between them, that do not begin with a comment."""
    return [group for group in suppressions.strip().split("\n\n") if not group.startswith("# ")]


def test_a_check_without_a_reason_is_found():
    assert without_reason("# why\nmemleak\nresourceLeak\n\nautoVariables\n\n# so\nx:y.c\n") == ["autoVariables"]
