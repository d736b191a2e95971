# SPDX-License-Identifier: MIT
"""The command tree and its options, as --help tells a user."""
import re
import subprocess

from .paths import SLICER

OPTION = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[\w-]+)(?: (?P<metavar>\S+))?(?:  +(?P<text>.*)|)$")


class Help:
    """What "slicer WORDS --help" says: usage, aliases, options ({name: (letter, metavar)}), repeated (names of options),
    connection (options as well), commands, shortcuts and later (lists of words)."""

    def __init__(self, words, slicer=SLICER):
        self.words = words
        done = subprocess.run([slicer, *words, "--help"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stderr == "", (words, done)
        self.text = done.stdout
        first = self.text.split("\n")[0]
        assert first.startswith("Usage: slicer"), first
        self.usage = first.removeprefix("Usage: ")
        also = re.search(r"^Also called: (.*)$", self.text, re.M)
        self.aliases = also.group(1).split() if also else []
        self.options, self.repeated = self.options_of("Options")
        self.connection, _ = self.options_of("Connection")
        self.commands = [line.split()[0] for line in self.section("Commands") if line.strip()]
        self.shortcuts = self.words_of('Short for "slicer vm ..."')
        self.later = self.words_of("Not in this version yet")

    def section(self, title):
        found = re.search(rf"^{re.escape(title)}:\n((?:  .*\n)*)", self.text, re.M)
        return found.group(1).split("\n") if found else []

    def words_of(self, title):
        return re.findall(r"[\w-]+", " ".join(self.section(title)))

    def options_of(self, title):
        options, repeated, name = {}, set(), None
        for line in self.section(title):
            match = OPTION.match(line)
            if match:
                name = match.group("name")
                options[name] = (match.group("letter"), match.group("metavar"))
            if "may be repeated" in line:
                repeated.add(name)
        return options, repeated


def tree(words=()):
    """The help of the program, of each group and of each verb, the root first."""
    here = Help(words)
    yield here
    for name in here.commands:
        yield from tree((*words, name))
