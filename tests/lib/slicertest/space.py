# SPDX-License-Identifier: MIT
"""A network namespace of a test's own: what it does to links and rules is nobody else's."""
import contextlib
import itertools
import os
import subprocess

NUMBERS = itertools.count(1)


class Space:
    def __init__(self):
        self.name = f"slt-own-{os.getpid()}-{next(NUMBERS)}"
        self.prefix = ("nsenter", f"--net=/run/netns/{self.name}")  # for a Daemon

    def run(self, *words, **kwargs):
        """What the program prints; fails when it does."""
        return subprocess.run([*self.prefix, *words], check=True, capture_output=True, text=True, timeout=60, **kwargs).stdout

    def links(self):
        return self.run("ip", "-br", "link")

    def rules(self):
        return self.run("nft", "list", "ruleset")


@contextlib.contextmanager
def space():
    one = Space()
    subprocess.run(["ip", "netns", "add", one.name], check=True)
    try:
        one.run("ip", "link", "set", "lo", "up")
        yield one
    finally:
        subprocess.run(["ip", "netns", "del", one.name], check=True)
