# SPDX-License-Identifier: MIT
"""Every command has its place in a man page, with its usage, its other names and all of its options; and no page has more.

A command has a page of its own (slicer-vm-exec.1.scd) or a heading "## USAGE" in the page of a group above it."""
import pathlib
import re
import subprocess

import pytest
from slicertest import clihelp
from slicertest.paths import SOURCE

MAN = SOURCE / "man"
TREE = list(clihelp.tree())
VERBS = [h for h in TREE if not h.commands]
GROUPS = [h for h in TREE if h.commands]
DEFINITION = re.compile(r"^(?:\*-(?P<letter>\w)\*, )?\*--(?P<name>[\w-]+)\*(?: (?P<metavar>\S+))?$", re.M)


def page_of(words):
    """The page of the command, else that of the nearest group above it."""
    while not (path := MAN / ("-".join(["slicer", *words]) + ".1.scd")).exists():
        words = words[:-1]
    return path


def plain(text):
    """Without scdoc's marks of bold and underlined."""
    return re.sub(r"(?<!\\)[*_]", "", text).replace("\\", "")


def place(verb):
    """The text about a verb: its page, or its part of the group's page. None when there is none."""
    path = page_of(verb.words)
    text = path.read_text()
    if verb.words and path.name == "-".join(["slicer", *verb.words]) + ".1.scd":
        synopsis = re.search(r"^# SYNOPSIS\n\n(.*)$", text, re.M).group(1)
        return text if plain(synopsis) == verb.usage else None
    found = re.search(rf"^## {re.escape(verb.usage)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    return found.group(1) if found else None


def defined(text):
    return {m.group("name"): (m.group("letter"), m.group("metavar")) for m in DEFINITION.finditer(text)}


def problems(verb, text):
    """What is wrong with the text about a verb; a list of sentences."""
    if text is None:
        return [f'{page_of(verb.words).name} lacks "{verb.usage}" as its SYNOPSIS or as a heading']
    said = [f"--{name} is {defined(text).get(name)} there and {verb.options.get(name)} in the help"
            for name in sorted({*defined(text), *verb.options}) if defined(text).get(name) != verb.options.get(name)]
    said += [f"--{name} may be repeated" for name in sorted(verb.repeated)
             if not re.search(rf"\*--{name}\*.*\n(\t.*\n)*\t.*may be\s*repeated", text)]
    return said + [f'its other name "{alias}" is not said' for alias in verb.aliases if f"*{alias}*" not in text]


def test_the_tree_is_read():
    names = {" ".join(h.words) for h in TREE}
    assert {"", "up", "vm exec", "vm tag add", "image build"} <= names
    exec_help = next(h for h in TREE if h.words == ("vm", "exec"))
    assert exec_help.options["uid"] == ("u", "UID") and exec_help.options["stdin"] == ("i", None)
    assert exec_help.repeated == {"env"}
    assert "url" in exec_help.connection and "service" in TREE[0].commands and "proxy" in TREE[0].later


@pytest.mark.parametrize("verb", VERBS, ids=lambda h: "-".join(h.words))
def test_verb_is_documented(verb):
    assert problems(verb, place(verb)) == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda h: "-".join(h.words) or "slicer")
def test_group_is_documented(group):
    text = page_of(group.words[:-1]).read_text() + page_of(group.words).read_text()
    missing = [name for name in [*group.commands, *group.aliases, *group.shortcuts]
               if not re.search(rf"\*{name}\*|^## slicer (\w+ )*{name}\b", text, re.M)]
    assert missing == []


def test_no_page_documents_what_is_not_there():
    known = {h.usage for h in TREE}
    for path in MAN.glob("slicer*.1.scd"):
        for heading in re.findall(r"^## (slicer .*)$", path.read_text(), re.M):
            assert heading in known, f"{path.name}: no command has the usage \"{heading}\""
        words = tuple(path.name.removesuffix(".1.scd").split("-")[1:])
        assert any(h.words == words for h in TREE), f"{path.name}: there is no such command"


def test_connection_options_are_documented():
    text = (MAN / "slicer.1.scd").read_text()
    section = re.search(r"^# CONNECTION\n(.*?)^# ", text, re.M | re.S).group(1)
    assert defined(section) == next(h for h in TREE if h.connection).connection


def test_pages_are_built_and_refer_to_each_other():
    pages = {path.name.removesuffix(".scd") for path in MAN.glob("*.scd")}
    assert set(re.findall(r"^  '(slicer.*)',$", (MAN / "meson.build").read_text(), re.M)) == pages
    referred = re.compile(r"\*(slicer[\w.-]*)\*\((\d)\)")
    for path in MAN.glob("*.scd"):
        for name, section in referred.findall(path.read_text()):
            assert f"{name}.{section}" in pages, f"{path.name} refers to {name}({section})"
    see_also = (MAN / "slicer.1.scd").read_text().partition("# SEE ALSO")[2]
    assert {f"{n}.{s}" for n, s in referred.findall(see_also)} == pages - {"slicer.1"}


def compiled(text):
    return subprocess.run(["scdoc"], input=text, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("path", sorted(MAN.glob("*.scd")), ids=lambda p: p.name)
def test_page_compiles(path):
    done = compiled(path.read_text())
    assert (done.returncode, done.stderr) == (0, "") and ".TH" in done.stdout


def test_a_page_that_does_not_compile_is_found():
    assert compiled("x(1)\n\n# NAME\n\nx - *a _b_*\n").returncode != 0


def test_environment_is_documented():
    """What a user may set is in slicer(1), what only tests set is in HACKING.md."""
    code = "".join(path.read_text() for path in (SOURCE / "src").rglob("*.c"))
    names = set(re.findall(r'getenv\("(SLICER_\w+)"\)', code))
    assert "SLICER_URL" in names
    texts = (MAN / "slicer.1.scd").read_text() + (SOURCE / "HACKING.md").read_text()
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", texts)] == []


VERB = next(h for h in TREE if h.words == ("vm", "exec"))
PAGE = place(VERB)


@pytest.mark.parametrize("text", [
    None,
    PAGE.replace("*--cwd* DIR", "--cwd DIR"),
    PAGE.replace("*--cwd* DIR", "*--cwd* PLACE"),
    PAGE.replace("*-w*, ", ""),
    PAGE.replace("may be repeated", "of its"),
    PAGE + "\n*--more*\n\tAn option that is not there.\n",
], ids=["missing", "option", "metavar", "letter", "repeated", "extra"])
def test_what_is_missing_is_found(text):
    assert PAGE and problems(VERB, PAGE) == []
    assert len(problems(VERB, text)) == 1
