#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang.py BUILD: reads every C file of a gcc build with clang, whose warnings are errors here too, and makes nothing of it."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

DROPPED = {"-c", "-MD"}
DROPPED_WITH_VALUE = {"-o", "-MQ", "-MF"}


def clang_command(command):
    """The build's own command with clang in gcc's place, as far as the warnings."""
    words = iter(shlex.split(command)[1:])
    kept = ["clang", "-fsyntax-only"]
    for word in words:
        if word in DROPPED_WITH_VALUE:
            next(words)
        elif word not in DROPPED:
            kept.append(word)
    return kept


def check(entry):
    done = subprocess.run(clang_command(entry["command"]), cwd=entry["directory"], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def main(build):
    commands = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    entries = {e["file"]: e for e in commands if e["file"].endswith(".c")}.values()  # once, for however many programs
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [text for text in pool.map(check, entries) if text]
    sys.stdout.writelines(findings)
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
