# SPDX-License-Identifier: MIT
"""The documentation is in order: links lead somewhere, commands in running text exist, blocks say what they are."""
import re

import pytest
from slicertest import clihelp, doccommands
from slicertest.doclinks import broken_links
from slicertest.paths import SOURCE

PAGES = sorted([*SOURCE.glob("*.md"), *(SOURCE / "docs").glob("*.md")])
TREE = {h.words: h for h in clihelp.tree()}
SHORT = set(TREE[()].shortcuts)


def names(pages):
    return [str(p.relative_to(SOURCE)) for p in pages]


def wrong_command(text):
    """What is wrong with a command line "slicer …" in running text; None when nothing is."""
    words, found = text.split()[1:], ()
    while words and (*found, words[0]) in TREE:
        found = (*found, words.pop(0))
    if not found and words and words[0] in SHORT:
        found = ("vm", words.pop(0))
    here = TREE[found]
    if here.commands and words and not re.match(r"[-.…A-Z\[<]", words[0]) and words[0] != "help":
        return f"there is no command {words[0]}" if words[0] not in here.later else None
    known = {f"--{n}" for n in [*here.options, *next(h for h in TREE.values() if h.connection).connection, "help", "version"]}
    known |= {f"-{letter}" for letter, _ in here.options.values() if letter} | {"-h", "-L"}
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and word.split("=")[0].rstrip(",]") not in known:
            return f"there is no option {word}"
    return None


def in_text(text):
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.findall(r"`(?:sudo )?(slicer(?: [^`]+)?)`", outside)


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_page(path):
    text = path.read_text()
    assert list(broken_links(path, text)) == []
    assert [(c, wrong_command(c)) for c in in_text(text) if wrong_command(c)] == []
    assert list(doccommands.commands(text)) is not None


def test_index_names_every_page():
    index = (SOURCE / "docs/README.md").read_text()
    assert [p.name for p in (SOURCE / "docs").glob("*.md") if p.name != "README.md" and f"({p.name})" not in index] == []
    assert "(docs/README.md)" in (SOURCE / "README.md").read_text()


@pytest.mark.parametrize("text", ["slicer frobnicate", "slicer vm exce vm-1", "slicer vm list --jsno", "slicer up --fiel x"])
def test_wrong_commands_are_found(text):
    assert wrong_command(text)


@pytest.mark.parametrize("text", ["slicer", "slicer vm", "slicer vm exec VM -- ls --all", "slicer list --json", "slicer --help",
                                  "slicer vm cp -r a vm-1:b", "slicer vm add --url=x --wait"])
def test_right_commands_pass(text):
    assert wrong_command(text) is None


def test_broken_links_are_found(tmp_path):
    (tmp_path / "b.md").write_text("# One thing\n")
    text = "# Here\n[a](b.md) [b](b.md#one-thing) [c](#here) [d](c.md) [e](b.md#two) [f](#there) [g](https://x.y)\n"
    (tmp_path / "a.md").write_text(text)
    assert list(broken_links(tmp_path / "a.md", text)) == ["c.md", "b.md#two", "#there"]


def test_blocks_are_read():
    text = ('# A\n\n```sh\n# why\nslicer new vm \\\n  > a   # so\n\ntrue\n```\n\n<!-- test: exit status 2 -->\n```console\n'
            '$ a b\none …\n…\n$ c\n```\n```yaml\nx: 1\n```\n<!-- test: not run: it would reboot -->\n```sh\nreboot\n```\n'
            '<!-- test: in the background, until "up" -->\n```sh\nd\n```\n')
    got = [(c.line, c.text, c.output, c.status, c.until) for c in doccommands.commands(text)]
    assert got == [(5, "slicer new vm > a   # so", None, 0, None), (8, "true", None, 0, None),
                   (13, "a b", ["one …", "…"], 2, None), (16, "c", [], 2, None), (27, "d", None, 0, "up")]


@pytest.mark.parametrize("text", ["```\nx\n```\n", "text\n\n    slicer up\n", "<!-- test: maybe -->\n```sh\nx\n```\n",
                                  "```console\nx\n```\n"])
def test_blocks_must_say_what_they_are(text):
    with pytest.raises(ValueError):
        list(doccommands.commands(text))


def test_output_is_compared():
    assert doccommands.matches(["a … c", "…", "z"], "a b c\nd\ne\nz\n")
    assert doccommands.matches(["a"], "a")
    assert doccommands.matches([], "")
    assert not doccommands.matches(["a"], "a\nb\n")
    assert not doccommands.matches(["a … c"], "a b\n")
