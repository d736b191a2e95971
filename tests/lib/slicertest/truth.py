# SPDX-License-Identifier: MIT
"""Whether what a daemon says of its VMs is what is there."""
import os

from . import proc
from .wait import until


def _running(daemon):
    """hostname: (monitor, VMM) of the monitors below this process, which is their subreaper, or below the daemon."""
    found = {}
    for pid in proc.descendants(os.getpid()):
        words = proc.cmdline(pid)
        if (words and words[0].endswith("slicer-monitor") and words[1].startswith(daemon.group + "-") and proc.alive(pid) and
                proc.name_of(pid) != "jail-keeper"):  # which is the same program
            vmms = [p for p in proc.children(pid) if proc.alive(p) and "fakevmm" in " ".join(proc.cmdline(p)[:1])]
            found[words[1]] = (pid, vmms)
    return found


def _names(path):
    try:
        return set(os.listdir(path))
    except FileNotFoundError:
        return set()


def falsehoods(daemon):
    """What does not fit: list of sentences, empty when all is true."""
    nodes = {n["hostname"]: n for n in daemon.client.nodes()}
    running, wrong = _running(daemon), []
    for name, node in nodes.items():
        up = name in running and len(running[name][1]) == 1
        if node["status"] not in ("Running", "Paused", "Stopped"):
            wrong.append(f"{name} is still {node['status']}")
        elif (node["status"] != "Stopped") != up:
            wrong.append(f"{name} is {node['status']}, its processes: {running.get(name)}")
    up = {name for name, node in nodes.items() if node["status"] != "Stopped"}
    for what, have, want in (("monitors", set(running), up),
                             ("run directories", _names(daemon.run_dir), up),
                             ("state directories", _names(daemon.state_dir / "vms"), set(nodes))):
        if have != want:
            wrong.append(f"{what}: {sorted(have - want)} too many, {sorted(want - have)} missing")
    return wrong


def wait_for_truth(daemon, seconds):
    wrong = []

    def true():
        wrong[:] = falsehoods(daemon)
        return not wrong
    try:
        until(true, seconds)
    except AssertionError:
        raise AssertionError("\n".join(wrong)) from None
