# SPDX-License-Identifier: MIT
"""What a test may leave behind on the host, by kind."""
import os
import pathlib
import socket
import subprocess
import time

from . import proc
from .wait import PATIENCE

DAEMON_IDS = set()


def _files(top):
    found = set()
    for path, dirs, files in os.walk(top):
        found |= {os.path.join(path, name) for name in dirs + files}
    return found


def _netns():
    path = pathlib.Path("/run/netns")
    return set(os.listdir(path)) if path.is_dir() else set()


def ours(name):
    """Whether it carries the id of a daemon of this session: another daemon of this host is no business of the tests."""
    return any(daemon in name for daemon in DAEMON_IDS)


def _nft_tables():
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True)
    return {line for line in done.stdout.splitlines() if ours(line)}


def _cgroups():
    """Down to the third level. Those of other tests come and go meanwhile, which os.walk() takes, and Path.glob() does not."""
    top, found = "/sys/fs/cgroup", set()
    for path, dirs, _ in os.walk(top):
        depth = len(path.removeprefix(top).split("/"))
        found |= {os.path.join(path, name) for name in dirs if depth > 1 and ours(name)}
        if depth == 3:
            dirs.clear()
    return found


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        found = {line.split()[4] for line in f} - {"/run/netns"}  # which `ip netns` of a test makes once and keeps
    # Namespaces are a kind of their own; those of others, which /run/netns of ours hides, come and go.
    return {path for path in found if not path.startswith("/run/netns/")}


def _processes():
    """All below this process: it is the subreaper of what daemons leave."""
    found = set()
    for pid in proc.descendants(os.getpid()):
        if proc.alive(pid):
            found.add((pid, proc.start_time(pid), proc.name_of(pid)))
    return found


KINDS = {
    "links": lambda: {name for _, name in socket.if_nameindex()},
    "namespaces": _netns,
    "nft tables": _nft_tables,
    "cgroups": _cgroups,
    "mounts": _mounts,
    "files in /run/slicer": lambda: _files("/run/slicer"),
    "files in /var/log/slicer": lambda: _files("/var/log/slicer"),
    "processes": _processes,
}


def _more(kind, before, now):
    """A process stays the same when it has become another program, as passt does when it begins."""
    if kind != "processes":
        return now - before
    known = {(pid, start) for pid, start, _ in before}
    return {one for one in now if one[:2] not in known}


def snapshot():
    return {kind: look() for kind, look in KINDS.items()}


def compare(before, seconds=PATIENCE):
    """What is there now and was not before, or the reverse; empty when all is as it was. Ends take a moment, and on a busy machine
    more than that."""
    deadline = time.monotonic() + seconds
    while True:
        now = snapshot()
        found = []
        for kind in KINDS:
            more = _more(kind, before[kind], now[kind])
            less = before[kind] - now[kind] if kind == "mounts" else set()
            found += [f"{kind}: new {sorted(map(str, more))}"] if more else []
            found += [f"{kind}: missing {sorted(map(str, less))}"] if less else []
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
