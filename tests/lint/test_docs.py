# SPDX-License-Identifier: MIT
"""The documentation is in order: links lead somewhere, commands in running text and in the examples of man pages exist, blocks say
what they are, configurations are valid."""
import re
import subprocess

import pytest
from slicertest import clihelp, doccommands
from slicertest.doclinks import broken_links
from slicertest.paths import SLICER, SOURCE

PAGES = sorted([*SOURCE.glob("*.md"), *(SOURCE / "docs").glob("*.md")])
MAN = sorted((SOURCE / "man").glob("*.scd"))
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


def in_examples(text):
    """The commands of this program in the EXAMPLES of a man page."""
    examples = re.search(r"^# EXAMPLES\n(.*?)(?=^# |\Z)", text, re.M | re.S)
    return re.findall(r"(?:^|\| |sudo )(slicer .*)$", examples.group(1), re.M) if examples else []


def configurations(text):
    """What is in fenced blocks and is a whole configuration."""
    return re.findall(r"^```(?:yaml)?\n(config:\n.*?)^```$", text, re.M | re.S)


def complaint(text, directory):
    """What the program says about a configuration; None when nothing."""
    (directory / "x.yaml").write_text(text)
    done = subprocess.run([SLICER, "doctor", "--only", "config", "x.yaml"], cwd=directory, capture_output=True, text=True, timeout=30)
    return None if done.returncode == 0 else done.stdout + done.stderr


def missing_tests(text):
    """Tests of which a mark says that they run what the page's test does not, and which are not there."""
    return [name for block in doccommands.blocks(text) for name in re.findall(r"\b(?:tests|tools)/[\w./-]*\w", block.mark)
            if not (SOURCE / name).exists()]


@pytest.mark.parametrize("path", MAN, ids=names(MAN))
def test_examples_of_man_pages(path):
    commands = in_examples(path.read_text())
    assert commands or "# EXAMPLES" not in path.read_text()
    assert [(c, wrong_command(c)) for c in commands if wrong_command(c)] == []


WITH_CONFIGURATION = [path for path in [*PAGES, *MAN] if configurations(path.read_text())]


@pytest.mark.parametrize("path", WITH_CONFIGURATION, ids=names(WITH_CONFIGURATION))
def test_configurations(path, tmp_path):
    assert [c for c in (complaint(text, tmp_path) for text in configurations(path.read_text())) if c] == []


def test_configurations_are_found_and_judged(tmp_path):
    assert {"docs/configuration.md", "docs/networks.md", "man/slicer.yaml.5.scd"} <= set(names(WITH_CONFIGURATION))
    assert configurations("```yaml\nconfig:\n  a: 1\n```\n```yaml\nlimits:\n```\n") == ["config:\n  a: 1\n"]
    assert complaint("config:\n  host_groups:\n  - name: vm\n", tmp_path) is None
    assert "bogus" in complaint("config:\n  bogus: 1\n", tmp_path)


def test_examples_are_found():
    text = "# EXAMPLES\n\n```\nsudo slicer up x\ntar c a | slicer vm cp b\n```\n\n# SEE ALSO\n\nslicer c\n"
    assert in_examples(text) == ["slicer up x", "slicer vm cp b"]


def test_tests_that_are_not_there_are_found():
    text = "<!-- test: not run: {} does it -->\n```sh\nx\n```\n"
    assert missing_tests(text.format("tests/host/test_adopt.py")) == []
    assert missing_tests(text.format("tests/host/test_none.py")) == ["tests/host/test_none.py"]


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_page(path):
    text = path.read_text()
    assert list(broken_links(path, text)) == []
    assert [(c, wrong_command(c)) for c in in_text(text) if wrong_command(c)] == []
    assert list(doccommands.commands(text)) is not None
    assert missing_tests(text) == []


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
