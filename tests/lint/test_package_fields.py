# SPDX-License-Identifier: MIT
"""The Debian package says what the program and its documentation say. How it installs: tests/nested/test_package.py."""
import hashlib
import re

import pytest
from slicertest.paths import SOURCE

DEBIAN = SOURCE / "tools/debian"
# Of any Debian, though not all of them Essential.
EVERYWHERE = {"apt", "util-linux"}


def named_packages(control):
    """What the package's fields ask for, alternatives as well."""
    fields = re.findall(r"^(?:Depends|Recommends|Suggests): (.*(?:\n .*)*)", control.partition("\nPackage: ")[2], re.M)
    return {name for field in fields for name in re.findall(r"(?<![\w{:-])[a-z][\w.+-]*", re.sub(r"\$\{.*?\}", "", field))}


def executed_packages(page):
    table = re.search(r"^## Executed\n(.*?)(?=^## |\Z)", page, re.M | re.S).group(1)
    cells = re.findall(r"^\| ([^|]*?) \|", table, re.M)[1:]  # but the head
    return {name for cell in cells for name in re.sub(r"\(.*?\)", "", cell).replace(",", " ").split()} - {"---"}


def advised_packages():
    code = "".join(path.read_text() for path in (SOURCE / "src").rglob("*.c"))
    return {name for words in re.findall(r"apt-get install ([a-z][a-z0-9 -]*)", code) for name in words.split()}


@pytest.mark.parametrize("packages", [executed_packages((SOURCE / "docs/dependencies.md").read_text()), advised_packages()],
                         ids=["executed", "advised"])
def test_the_package_names_what_the_programs_execute(packages):
    assert len(packages) > 3
    assert sorted(packages - named_packages((DEBIAN / "control").read_text()) - EVERYWHERE) == []


def test_what_is_not_named_is_found():
    control = "Source: a\nBuild-Depends: x\n\nPackage: a\nDepends: ${misc:Depends}, b,\n c (>= 2)\nSuggests: d | e-f\n"
    assert named_packages(control) == {"b", "c", "d", "e-f"}
    page = "## Executed\n\n| package | program |\n|---|---|\n| a, b-c | `a` |\n| d (optional) | |\n\n## Build\n\n| z | |\n"
    assert executed_packages(page) == {"a", "b-c", "d"}


def test_purging_knows_the_file_that_up_writes():
    """postrm compares its sum; the file is a C string."""
    code = (SOURCE / "src/net/cni_default.c").read_text()
    lines = re.findall(r'"((?:[^"\\]|\\.)*)"', re.search(r"default_list\[\] =(.*?);\n\n", code, re.S).group(1))
    text = "".join(lines).replace("\\n", "\n").replace('\\"', '"')
    assert text.startswith("{\n") and "\\" not in text
    assert hashlib.sha256(text.encode()).hexdigest() in (DEBIAN / "slicer.postrm").read_text()
