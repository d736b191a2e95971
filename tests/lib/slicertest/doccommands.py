# SPDX-License-Identifier: MIT
"""The commands that the documentation shows, to be run as a reader would.

A fenced block is `sh` (each line is a command), `console` (lines that begin with "$ " are commands; what follows one is what it
prints, where "…" stands for anything within a line and a line "…" for any lines), or of another kind, which holds no command.
A comment in the line above a block says what is special about it:

    <!-- test: not run: WHY -->           nothing of it is run
    <!-- test: in the background, until "TEXT" -->   its one command stays, and has said TEXT before the next one; the first of
                                          a page, its daemon, must end well
    <!-- test: exit status N -->          each of its commands ends so, instead of with 0
"""
import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import tempfile
import time

from .daemon import LOG
from .wait import until

COMMAND_KINDS = ("sh", "console")
OTHER_KINDS = ("yaml", "json", "text")
MARK = re.compile(r"^<!-- test: (.*) -->$")


@dataclasses.dataclass
class Command:
    line: int                     # in its file
    text: str
    output: "list[str] | None"    # None: whatever
    status: int = 0
    until: "str | None" = None    # of a command in the background


@dataclasses.dataclass
class Block:
    line: int
    kind: str
    mark: str
    lines: "list[str]"


def blocks(text):
    """The fenced blocks of a Markdown text. A ValueError says what is wrong with it."""
    lines = text.split("\n")
    at, before = 0, ""
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = lines.index("```", at + 1)
            mark = MARK.match(before)
            yield Block(at + 1, line[3:], mark.group(1) if mark else "", lines[at + 1:end])
            at = end
        elif re.match(r"(    |\t)\S", line) and before == "":
            raise ValueError(f"line {at + 1}: an indented block: fence it, and say what it is")
        before = lines[at]
        at += 1


def split(block):
    """Yields (line, command, output) of a block."""
    at = 0
    while at < len(block.lines):
        line, first = block.lines[at], at
        at += 1
        if block.kind == "console":
            if not line.startswith("$ "):
                raise ValueError(f"line {block.line + first + 1}: a console block begins with a command")
            line = line[2:]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1] + block.lines[at].strip()
            at += 1
        output = None
        if block.kind == "console":
            output = []
            while at < len(block.lines) and not block.lines[at].startswith("$ "):
                output.append(block.lines[at])
                at += 1
        yield block.line + first + 1, line, output


def commands(text):
    """What is to be run, in order."""
    for block in blocks(text):
        if block.kind not in COMMAND_KINDS + OTHER_KINDS:
            raise ValueError(f"line {block.line}: ```{block.kind}: say what it is: {', '.join(COMMAND_KINDS + OTHER_KINDS)}")
        if block.kind in OTHER_KINDS or re.match(r"not run: \S", block.mark):
            continue
        background = re.fullmatch(r'in the background, until "(.+)"', block.mark)
        status = re.fullmatch(r"exit status (\d+)", block.mark)
        if block.mark and not background and not status:
            raise ValueError(f"line {block.line}: unknown mark \"{block.mark}\"")
        for line, command, output in split(block):
            yield Command(line, command, output, int(status.group(1)) if status else 0,
                          background.group(1) if background else None)


def matches(expected, output):
    """Whether what was printed is what the page shows."""
    parts = [r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*") + r"[ \t]*\n"
             for line in expected]
    return re.fullmatch("".join(parts), output if output.endswith("\n") or not output else output + "\n") is not None


class Session:
    """A shell in namespaces of its own (mount, network), in which root's directories are empty and the store is `store`.
    `sudo` is there, and does nothing more than to run what follows."""

    SETUP = """set -e
ip link set lo up
for d in /var/lib/slicer /run/slicer /var/log/slicer; do mkdir -p $d; mount -t tmpfs -o mode=0755 none $d; done
mkdir /var/lib/slicer/store; mount --bind "$STORE" /var/lib/slicer/store
set +e
"""

    def __init__(self, directory, programs, store, env=None):
        self.directory, self.background, self.began = directory, [], time.time()
        bin_directory = directory / ".bin"
        bin_directory.mkdir()
        (bin_directory / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (bin_directory / "sudo").chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLICER_", "XDG_"))}
        path = f"{bin_directory}:{programs}:{os.environ['PATH']}"
        self.shell = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "bash", "--norc"], cwd=directory,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            env={**clean, "PATH": path, "STORE": str(store), "HOME": str(directory), "LC_ALL": "C.UTF-8", **(env or {})})
        assert self.run(self.SETUP)[0] == 0

    def run(self, text, seconds=400):
        """Runs it to its end: (exit status, what it printed)."""
        with tempfile.TemporaryDirectory() as work:
            out, status, script = (os.path.join(work, n) for n in ("out", "status", "script"))
            with open(script, "w", encoding="utf-8") as f:
                f.write(text + "\n")
            self.shell.stdin.write(f". {script} >{out} 2>&1 </dev/null; echo $? >{status}.new; mv {status}.new {status}\n")
            self.shell.stdin.flush()
            until(lambda: os.path.exists(status) or self.shell.poll() is not None, seconds, text)
            with open(out, encoding="utf-8", errors="replace") as f:
                said = f.read()
            with open(status, encoding="utf-8") as f:
                return int(f.read()), said

    def start(self, text, said, seconds=400):
        """Starts it in the background and waits until it has printed `said`."""
        log = self.directory / f".background{len(self.background)}"
        log.touch()
        _, out = self.run(f"(exec {text}\n) >{log} 2>&1 </dev/null & echo $!")
        pid = int(out.split()[-1])
        self.background.append((pid, log))
        until(lambda: said in log.read_text() or not os.path.exists(f"/proc/{pid}"), seconds, f'{text}: "{said}"')
        assert said in log.read_text(), log.read_text()

    def do(self, command, where=""):
        if command.until:
            self.start(command.text, command.until)
            return
        status, said = self.run(command.text)
        assert status == command.status, f"{where}:{command.line}: {command.text}\nexit status {status}\n{said}{self.logs()}"
        if command.output is not None:
            assert matches(command.output, said), \
                f"{where}:{command.line}: {command.text}\nprinted:\n{said}\nthe page says:\n" + "\n".join(command.output)

    def logs(self):
        """Of what is in the background, and of consoles that were written to since the session began."""
        consoles = [p for p in sorted(LOG.glob("*.txt")) if p.stat().st_mtime >= self.began]
        return "".join([f"--- in the background:\n{log.read_text()[-3000:]}" for _, log in self.background] +
                       [f"--- {path}:\n{path.read_text(errors='replace')[-4000:]}" for path in consoles])

    def stop(self):
        """Ends what is in the background, the last first, and the shell."""
        statuses = []
        for pid, _ in reversed(self.background):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            statuses.append(self.run(f"wait {pid}")[0])
        self.shell.stdin.close()
        self.shell.wait(120)
        assert set(statuses) <= {0, 128 + signal.SIGTERM} and (not statuses or statuses[-1] == 0), (statuses, self.logs())
