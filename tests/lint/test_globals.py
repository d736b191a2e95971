# SPDX-License-Identifier: MIT
"""No mutable globals: nothing of src/ may land in .data or .bss, nor in those of threads (constant tables are in .rodata and .data.rel.ro)."""
import glob
import os
import re
import subprocess

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("SLICER_BUILD", os.path.join(SOURCE, "build"))
MUTABLE = re.compile(r"^[0-9a-f]+ .{7} (\.data|\.bss|\.tdata|\.tbss|\*COM\*)(\.\S+)?\s+0*([1-9a-f][0-9a-f]*)\s+(\S+)$")


def mutable_symbols(objects):
    listing = subprocess.run(["objdump", "-t", *objects], capture_output=True, text=True, check=True).stdout
    found = []
    for line in listing.split("\n"):
        match = MUTABLE.match(line)
        if match and not (match.group(2) or "").startswith(".rel.ro"):
            found.append(match.group(4))
    return found


def test_sources_have_no_mutable_globals():
    objects = glob.glob(os.path.join(BUILD, "src/**/*.o"), recursive=True)
    assert len(objects) > 50
    assert mutable_symbols(objects) == []


def test_a_mutable_global_is_found(tmp_path):
    source = tmp_path / "x.c"
    source.write_text("static int counter; int next(void) { return counter++; }\n"
                      "_Thread_local int mine; static _Thread_local int ours = 1; int more(void) { return ours++; }\n"
                      "const char *const table[] = {\"a\"};\n")
    subprocess.run(["gcc", "-c", "-fPIC", "-o", str(tmp_path / "x.o"), str(source)], check=True)
    assert sorted(mutable_symbols([str(tmp_path / "x.o")])) == ["counter", "mine", "ours"]
