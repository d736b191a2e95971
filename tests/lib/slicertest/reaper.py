# SPDX-License-Identifier: MIT
"""This process takes the place of PID 1 for what a killed daemon leaves: its monitors become our children, and are reaped."""
import ctypes
import os
import subprocess
import threading
import time

from . import proc

PR_SET_CHILD_SUBREAPER = 36
OWN = {}  # children that somebody waits for, with their start times: a pid alone may be another's by now
_spawn = subprocess.Popen._execute_child


def _remember(self, *args, **kwargs):
    with LOCK:
        _spawn(self, *args, **kwargs)
        OWN[self.pid] = proc.start_time(self.pid)


LOCK = threading.Lock()


def _reap_strangers():
    while True:
        time.sleep(0.02)
        with LOCK:
            for pid in _children_of_all_threads():
                if proc.state_of(pid) == "Z" and OWN.get(pid) != proc.start_time(pid):
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass


def _children_of_all_threads():
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as f:
                found |= {int(p) for p in f.read().split()}
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def start():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    subprocess.Popen._execute_child = _remember
    threading.Thread(target=_reap_strangers, daemon=True).start()
