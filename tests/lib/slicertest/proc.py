# SPDX-License-Identifier: MIT
"""Processes as /proc shows them."""
import contextlib
import os
import pathlib
import re
import time

PROC = pathlib.Path("/proc")


def _read(pid, name):
    try:
        return (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def stat_fields(pid):
    """From the state on (field 3 of proc(5)); None when there is no such process."""
    text = _read(pid, "stat").decode(errors="replace")
    return text.rpartition(")")[2].split() if text else None


def state_of(pid):
    fields = stat_fields(pid)
    return fields[0] if fields else None


def alive(pid):
    return state_of(pid) not in (None, "Z", "X")


def start_time(pid):
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def name_of(pid):
    return _read(pid, "comm").decode(errors="replace").strip()


def cmdline(pid):
    return [a.decode(errors="replace") for a in _read(pid, "cmdline").split(b"\0")[:-1]]


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def parents():
    found = {}
    for pid in pids():
        fields = stat_fields(pid)
        if fields:
            found[pid] = int(fields[1])
    return found


def children(pid):
    return sorted(child for child, parent in parents().items() if parent == pid)


def descendants(pid):
    parent_of, found = parents(), {pid}
    while True:
        more = {c for c, p in parent_of.items() if p in found and c not in found}
        if not more:
            return sorted(found - {pid})
        found |= more


def process_group_alive(pgid):
    """Processes of that group which are not zombies. Ids as the host sees them."""
    result = []
    for pid in pids():
        fields = stat_fields(pid)
        if fields and int(fields[2]) == pgid and fields[0] not in "ZX":
            result.append(pid)
    return result


def rss(pid):
    """Resident bytes."""
    match = re.search(rb"^VmRSS:\s+(\d+) kB", _read(pid, "status"), re.M)
    assert match, f"process {pid} is gone"
    return int(match.group(1)) * 1024


def peak_rss(process):
    """Waits for the end of a child; the most bytes that it had resident, of what can be seen until shortly before."""
    peak = 0
    while process.poll() is None:  # until then its number is nobody else's
        match = re.search(rb"^VmHWM:\s+(\d+) kB", _read(process.pid, "status"), re.M)
        peak = max(peak, int(match.group(1)) * 1024 if match else 0)
        time.sleep(0.01)
    return peak


def cpu_seconds(pid):
    """That all threads of a process have run, to the nanosecond, where the kernel keeps schedstat."""
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in (PROC / str(pid) / "task").iterdir()) / 1e9


def fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_files(pid):
    """None of a process that ends meanwhile."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for fd in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            with contextlib.suppress(FileNotFoundError):
                found.append((int(fd), os.readlink(f"/proc/{pid}/fd/{fd}")))
    return found


def find_processes(*words):
    """Pids of processes whose command line has all these words in it."""
    return [p for p in pids() if p != os.getpid() and alive(p) and
            all(w in " ".join(cmdline(p)) for w in words)]
