# SPDX-License-Identifier: MIT
"""clang has nothing to say of what gcc built, and would be heard if it had."""
import json
import subprocess

import pytest

from slicertest import BUILD, SOURCE

CHECK = SOURCE / "tools/lint/clang.py"
WARNED_OF_BY_CLANG_ONLY = """int make(void);
void end(int *fd);
int f(void)
{
	__attribute__((cleanup(end))) int fd = make();
	return 0;
}
"""


def check(build):
    return subprocess.run(["/usr/bin/python3", CHECK, build], capture_output=True, text=True, timeout=3600, check=False)


def test_this_tree():
    done = check(BUILD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("text,fine", [("int f(void);\n", True), (WARNED_OF_BY_CLANG_ONLY, False), ("int f(\n", False)])
def test_a_finding(tmp_path, text, fine):
    source = tmp_path / "x.c"
    source.write_text(text)
    command = f"cc -Wall -Wextra -Werror -MD -MQ x.o -MF x.o.d -o x.o -c {source}"
    (tmp_path / "compile_commands.json").write_text(json.dumps([{"directory": str(tmp_path), "command": command, "file": "x.c"}]))
    done = check(tmp_path)
    assert done.returncode == (0 if fine else 1) and ("x.c:" in done.stdout) != fine
