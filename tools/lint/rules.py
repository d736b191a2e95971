#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conventions of HACKING.md that a tool can check. Each rule takes a path and its text and yields (line, message)."""
import os
import re
import sys

TOOLS = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, TOOLS)
import layers  # noqa: E402

MAX_FILE_LINES = 450
MAX_TEST_LINES = 700  # many short functions that are one list
MAX_FUNCTION_LINES = 60
MAX_TEST_FUNCTION_LINES = 90

BANNED = {
    "strcpy": "str_fmt or memcpy with a checked size",
    "strcat": "str_fmt",
    "sprintf": "str_fmt",
    "vsprintf": "str_vfmt",
    "gets": "fgets",
    "atoi": "str_to_u64",
    "atol": "str_to_u64",
    "strtok": "strv_split",
    "system": "proc_run",
    "popen": "proc_run",
    "malloc": "mem_alloc",
    "calloc": "mem_alloc_array",
    "realloc": "mem_realloc",
    "strdup": "str_dup",
    "strndup": "str_ndup",
    "asprintf": "str_fmt",
    "vasprintf": "str_vfmt",
    "strncpy": "str_ndup, or memcpy with a checked size",
    "strncat": "str_fmt",
    "alloca": "mem_alloc",
    "sleep": "the loop, or a deadline",
    "mktemp": "fs_write_atomic, or mkostemp",
    "tmpnam": "fs_write_atomic, or mkostemp",
    "rand": "random_bytes",
    "random": "random_bytes",
    "setenv": "an environment for the child (struct proc_spec): threads read ours",
    "putenv": "an environment for the child (struct proc_spec): threads read ours",
    "localtime": "src/base/time.c",
    "gmtime": "src/base/time.c",
    "ctime": "src/base/time.c",
    "time": "clock_ms: the wall clock is set at times, also back",
    "gettimeofday": "clock_ms: the wall clock is set at times, also back",
    "clock_realtime_ns": "clock_ms; the wall clock, which is set at times, is for what is only shown",
    "pthread_cond_timedwait": "pthread_cond_clockwait: its default clock is the wall clock",
    "inet_ntoa": "ip4_format",
    "setjmp": "struct error",
    "longjmp": "struct error",
    "perror": "struct error",
    "err": "struct error",
    "atexit": "whoever owns it frees it",
}
# Static glibc loads the guest's NSS modules for these, and its libc with them.
BANNED_IN_AGENT = re.compile(r"\b(getpw\w*|getgr(?:nam|gid|ent)\w*|getaddrinfo|gethostby\w*|getservby\w*)\s*\(")
AGENT_FOLDERS = ("src/base/", "src/io/", "src/agent/")
ALLOWED = {  # (file, function): why is said in the file
    # Times that are shown, and compared with nothing.
    ("src/base/time.c", "clock_realtime_ns"), ("src/base/units.h", "clock_realtime_ns"),
    ("src/vm/create.c", "clock_realtime_ns"), ("src/vmm/monitor_record.c", "clock_realtime_ns"),
    ("src/agent/exec_frame.c", "clock_realtime_ns"), ("src/image/parts.c", "clock_realtime_ns"),
    ("src/base/mem.c", "malloc"), ("src/base/mem.c", "calloc"), ("src/base/mem.c", "realloc"),
    ("src/io/http1_client_tcp.c", "getaddrinfo"),
}
CALL = re.compile(r"\b([a-z_]+)\s*\(")
OPEN = re.compile(r"\b(?:open|openat|socket|socketpair|accept4|memfd_create|eventfd|epoll_create1|timerfd_create|pipe2|dup3|signalfd"
                  r"|inotify_init1|mkostemps?|recvmsg)\(")
# They cannot be told to; what can.
LEAKY = {"accept": "accept4", "pipe": "pipe2", "dup": "fcntl with F_DUPFD_CLOEXEC", "creat": "open", "mkstemp": "mkostemp",
         "epoll_create": "epoll_create1", "inotify_init": "inotify_init1"}
LEAKY_CALL = re.compile(r"(?<![\w.>])(" + "|".join(LEAKY) + r")\(")


def strip_comments(text):
    """Comments and strings become blanks of the same shape, so that line numbers stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def functions(text):
    """Yields (first line, lines) of each function body, by the style's braces in column 1."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            yield start, number - start
            start = None


def rule_license(path, text):
    first = "\n".join(text.split("\n", 2)[:2])
    if "SPDX-License-Identifier: MIT" not in first:
        yield 1, "the first line must hold the licence: SPDX-License-Identifier: MIT"


def rule_file_size(path, text):
    lines = text.count("\n")
    limit = MAX_TEST_LINES if path.startswith("tests/") else MAX_FILE_LINES
    if lines > limit:
        yield lines, f"{lines} lines; more than {limit} are two files"


def rule_function_size(path, text):
    if path.endswith(".c"):
        limit = MAX_TEST_FUNCTION_LINES if path.startswith("tests/") else MAX_FUNCTION_LINES
        for start, lines in functions(strip_comments(text)):
            if lines > limit:
                yield start, f"a function of {lines} lines; the limit is {limit}"


def rule_banned_calls(path, text):
    if not path.startswith("src/"):
        return
    for number, line in enumerate(strip_comments(text).split("\n"), 1):
        for name in CALL.findall(line):
            if name in BANNED and (path, name) not in ALLOWED:
                yield number, f"{name}: use {BANNED[name]}"
        found = BANNED_IN_AGENT.search(line)
        if found and path.startswith(AGENT_FOLDERS) and (path, found.group(1)) not in ALLOWED:
            yield number, f"{found.group(1)}: not in code that the static agent links (it would load the guest's NSS)"


def nested_end(code, start, ends):
    """Where the first of the characters `ends` is, from start on, outside any brackets that are opened there."""
    depth = 0
    for at in range(start, len(code)):
        if depth == 0 and code[at] in ends:
            return at
        depth += (code[at] in "([{") - (code[at] in ")]}")
    return len(code)


def unsafe_opens(code, text):
    """(offset, what is wrong) of each call that opens a descriptor which children would get. Strings are in text only."""
    for found in OPEN.finditer(code):
        if "CLOEXEC" not in code[found.end():nested_end(code, found.end(), ")")]:
            yield found.start(), f"{found.group(0)}…): without CLOEXEC it leaks into children"
    for found in LEAKY_CALL.finditer(code):
        yield found.start(), f"{found.group(1)}: it leaks into children: {LEAKY[found.group(1)]}"
    for found in re.finditer(r"\bfopen\(", code):
        if not re.search(r',\s*"[a-z+]*e[a-z+]*"$', text[found.end():nested_end(code, found.end(), ")")]):
            yield found.start(), 'fopen: without "e" in its mode it leaks into children'
    for found in re.finditer(r"\bF_DUPFD\b", code):
        yield found.start(), "F_DUPFD: it leaks into children: F_DUPFD_CLOEXEC"


def rule_cloexec(path, text):
    if path.startswith("src/") and path.endswith(".c"):
        code = strip_comments(text)
        for offset, message in unsafe_opens(code, text):
            yield code.count("\n", 0, offset) + 1, message


def rule_unfinished(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b", line):
            yield number, "unfinished work is an issue, not a comment"


def rule_header_guard(path, text):
    if path.startswith("src/") and path.endswith(".h"):
        guard = "SLICER_" + re.sub(r"[^A-Z0-9]", "_", path[len("src/"):].upper())
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield 1, f"the guard must be {guard}"


def rule_layer_includes(path, text):
    """The build enforces this too (each folder sees only what it may use); this says it in words, for headers also."""
    parts = path.split("/")
    if len(parts) < 3 or parts[0] != "src" or not path.endswith((".c", ".h")):
        return
    may = {parts[1], *layers.read_layers(os.path.join(TOOLS, "layers.txt")).get(parts[1], [])}
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#include "(?:([^/"]+)/)?[^"]*"', line)
        if found and found.group(1) not in may:
            yield number, (f"{line}: src/{parts[1]} may use {', '.join(sorted(may))} (tools/layers.txt)" if found.group(1)
                           else f"{line}: write the folder too")


def declarators(code, start):
    """The parts between the commas of a declaration."""
    while start < len(code):
        end = nested_end(code, start, ",;")
        yield code[start:end]
        if code[end:end + 1] != ",":
            return
        start = end + 1


def rule_cleanup_initialised(path, text):
    """What is freed on every way out must hold something on the first of them."""
    if not path.endswith((".c", ".h")):
        return
    code = strip_comments(text)
    for found in re.finditer(r"^[ \t]+(?:static )?cleanup_\w+ (?=\w)", code, re.M):
        for part in declarators(code, found.end()):
            if nested_end(part, 0, "=") == len(part):
                yield code.count("\n", 0, found.start()) + 1, \
                    f"{' '.join(part.split())}: freed on the way out, so it needs a value from the start"


OWNED = re.compile(r"\s+(?:const )?(?:struct \w+|char|void|uint8_t) \*+(\w+) = (?:str_v?fmt|str_n?dup|strv_\w+|fs_join|fs_read_file\w*"
                   r"|js_to_string|mem_alloc\w*)\(")


def is_handed_on(name, rest):
    """Returned, stored, given to what takes it over, or freed: somewhere, not on every way."""
    return re.search(rf"return [^;]*\b{name}\b|TAKE_PTR\({name}\)|[^=!<>]=\s*(?:\([^)]*\))?{name}\b[^-\[(]|\btake_\w+\([^;]*\b{name}\b"
                     rf"|free\w*\(&?{name}\b", rest)


def rule_owned(path, text):
    """What a local pointer gets from a function that allocates goes on, or has a cleanup attribute."""
    if not path.startswith("src/") or not path.endswith(".c"):
        return
    lines = strip_comments(text).split("\n")
    for start, count in functions("\n".join(lines)):
        for number in range(start, start + count):
            found = OWNED.match(lines[number - 1])
            if found and not is_handed_on(found.group(1), "\n".join(lines[number:start + count])):
                yield number, f"{found.group(1)}: nobody frees it: cleanup_free, or hand it on"


def rule_error_last(path, text):
    """struct error **err is the last parameter, but for a message's format."""
    if not path.startswith("src/") or not path.endswith(".h"):
        return
    for found in re.finditer(r"struct error \*\*(\w+),\s*([^)]*)", strip_comments(text)):
        if found.group(1) == "err" and "const char *fmt" not in found.group(2):
            yield text.count("\n", 0, found.start()) + 1, "struct error **err is the last parameter"


# Names of others that are written LikeThis or like_THIS.
FOREIGN = re.compile(r"SYS_[a-z]\w*|PRI[a-z]\d+|Elf64_[A-Z]\w+|CURLcode|_Static_assert|CMUnitTest|LLVMFuzzerTestOneInput")
CAPITALS = re.compile(r"^\s*(?:(?:static|const|extern|unsigned)\s+)*(?:(?:struct|enum|union)\s+\w+|void|bool|char|int|long|double|\w+_t)"
                      r"(?:\s+const)?[\s*]+([A-Z][A-Z0-9_]*)\s*[;=,(\[]")


def misnamed(line):
    for name in re.findall(r"\b[A-Za-z_]\w*", line):
        if re.search("[a-z]", name) and re.search("[A-Z]", name) and not FOREIGN.fullmatch(name):
            yield f"{name}: words_like_this, or LIKE_THIS for macros and constants"
    found = CAPITALS.match(line)
    if found:
        yield f"{found.group(1)}: words_like_this; only macros and constants of an enum are LIKE_THIS"
    found = re.match(r"#\s*define\s+([a-z]\w*)\b(\(?)", line)
    if found and not found.group(2) and not found.group(1).startswith("cleanup_"):
        yield f"{found.group(1)}: a macro without arguments is written IN_CAPITALS"


def rule_names(path, text):
    """words_like_this for what is declared, WORDS_LIKE_THIS for macros; structs, enums and unions go by their tag."""
    if not path.endswith((".c", ".h")):
        return
    for number, line in enumerate(strip_comments(text).split("\n"), 1):
        if re.match(r"\s*typedef\s+(struct|enum|union)\b", line):
            yield number, "no typedef hides what is a struct, an enum or a union"
        if re.match(r"\s*typedef\b.*\b\w+_t;", line):
            yield number, "names that end in _t are POSIX's"
        for message in misnamed(line) if not line.startswith("#include") else ():
            yield number, message


# Of a project's text, not of its readers: numbers of a tracker, paths of one machine; and what says nothing.
WORDS = re.compile(r"\b(?:issues? #?\d+|blazing\w*|seamless\w*|effortless\w*|cutting[- ]edge|world[- ]class|revolutionary|"
                   r"next[- ]generation|state[- ]of[- ]the[- ]art|game[- ]chang\w+)\b|(?<![\w.])/work/", re.I)


def rule_words(path, text):
    if path.startswith(("tools/lint/", "tests/lint/")):
        return
    for number, line in enumerate(text.split("\n"), 1):
        found = WORDS.search(line)
        if found:
            yield number, f'"{found.group(0)}" does not belong here'


def rule_spaces(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if path.endswith((".c", ".h")) and line.startswith(" " * 8):
            yield number, "a tab, not eight spaces"
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "the last line has no end"


RULES = [rule_license, rule_file_size, rule_function_size, rule_banned_calls, rule_cloexec, rule_unfinished, rule_header_guard,
         rule_layer_includes, rule_cleanup_initialised, rule_owned, rule_error_last, rule_names, rule_words, rule_spaces]
CODE = (".c", ".h", ".py", ".sh")
TEXT = (".md", ".scd", ".build", ".txt", ".in", ".service", ".bash")
ON_TEXT = [rule_words, rule_spaces]


DATA = re.compile(r"^tests/(?:fuzz/corpus|golden/\w+)/")  # bytes that tests compare with


def source_files(root):
    """Of the kinds that the rules are about, outside build and hidden directories (with or without git, as any user)."""
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith(("build", ".")))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(directory, name), root)
            if name.endswith(CODE + TEXT) and not DATA.match(path):
                yield path


def check(root):
    for path in source_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        for rule in RULES if path.endswith(CODE) else ON_TEXT:
            for line, message in rule(path, text):
                yield path, line, message


if __name__ == "__main__":
    problems = list(check(sys.argv[1] if len(sys.argv) > 1 else "."))
    for path, line, message in problems:
        print(f"{path}:{line}: {message}")
    sys.exit(1 if problems else 0)
