# SPDX-License-Identifier: MIT
"""What needs no guest: the daemon by itself, with many VMs, taking VMs over, and under a long pipe."""
import contextlib
import os
import subprocess
import threading
import time

import bare
import herd
from measure import PAIRS, pairs, seconds
from slicertest import BUILD, Daemon, proc, rss, until

LOAD = BUILD / "tests/bench/load"
KIB, MIB = 1024, 1024 * 1024
MANY = 1000
LOAD_SECONDS = 1
CONNECTIONS = 4
PIPE = 1024 * MIB
PIECE = b"0123456789abcdef" * 64 * KIB


def plain(daemon):
    """Not as tests run it: they have it compare what it keeps with what is, on every request."""
    daemon.env.pop("SLICER_CHECK_KEPT", None)
    return daemon


def idle_rss(directory, hypervisor):
    with plain(Daemon(directory, hypervisor=hypervisor)) as daemon:
        return rss(daemon.pid)


def memory(report, directory):
    """The daemon's resident memory against that of a process that does nothing."""
    def theirs():
        with subprocess.Popen(["/bin/sleep", "60"]) as process:
            until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"), 5, "sleep runs")
            time.sleep(0.05)
            size = rss(process.pid)
            process.kill()
        return size
    report.add("idle daemon's memory : /bin/sleep's", pairs(lambda: idle_rss(directory / "idle", "qemu"), theirs), "KiB",
               1 / KIB, ("under 8 MiB", lambda ours, _, __: ours < 8 * MIB))


def start_seconds(directory):
    daemon = plain(Daemon(directory, hypervisor="qemu"))
    daemon.write_config()
    before = time.monotonic()
    daemon.spawn()
    try:
        while True:
            assert daemon.process.poll() is None and time.monotonic() < before + 60, daemon.log_text()
            with contextlib.suppress(OSError):
                if daemon.client.get("/healthz", timeout=5).status == 200:
                    break
            time.sleep(0.0005)
        return time.monotonic() - before
    finally:
        daemon.stop()


def start(report, directory):
    def theirs():
        return seconds(lambda: subprocess.run([bare.QEMU, "--version"], stdout=subprocess.DEVNULL, check=True))
    report.add("daemon until its first answer : qemu-system --version", pairs(lambda: start_seconds(directory / "start"), theirs),
               goal=("within 20 ms", lambda ours, _, __: ours <= 0.020))


def spent(argv, **kwargs):
    """Process time, user and system, as wait4(2) tells it."""
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **kwargs)
    after = os.times()
    return max(after.children_user + after.children_system - before.children_user - before.children_system, 1e-4)


def cli_list(report, directory):
    """os.times() counts in hundredths: a hundred starts each."""
    def many(argv, cwd):
        script = 'for i in $(seq 100); do "$@" || exit 1; done'
        return spent(["/bin/sh", "-c", script, "sh", *argv], cwd=cwd) / 100
    with plain(Daemon(directory / "list")) as daemon:
        daemon.client.create(daemon.group)
        argv = [str(daemon.slicer), "--url", str(daemon.address), "vm", "list"]
        report.add("slicer vm list, one VM : /bin/true, process time",
                   pairs(lambda: many(argv, daemon.dir), lambda: many(["/bin/true"], daemon.dir)),
                   goal=("under 5 ms", lambda ours, _, __: ours < 0.005))


# --- many VMs

def load(daemon, path):
    """Requests a second, the 99th percentile and the daemon's processor time for each, in seconds; the daemon and the load have a
    core of their own each."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(daemon.pid, {cpus[0]})
    before = proc.cpu_seconds(daemon.pid)
    done = subprocess.run([str(LOAD), str(daemon.address), path, str(CONNECTIONS), str(LOAD_SECONDS), str(cpus[-1])],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    count, took, _, p99, _, _ = done.stdout.split()
    return int(count) / float(took), int(p99) / 1e6, (proc.cpu_seconds(daemon.pid) - before) / int(count)


def load_line(report, daemon, path, shown, goal):
    measured = [(load(daemon, path), load(daemon, "/healthz")) for _ in range(PAIRS + 1)][1:]
    report.add(f"GET {shown}, requests a second : GET /healthz", [(a[0], b[0]) for a, b in measured], "/s", 1,
               (f"at least {goal}", lambda ours, _, __: ours >= goal))
    report.add(f"GET {shown}, daemon's processor time for each : GET /healthz", [(a[2], b[2]) for a, b in measured], "us", 1e6,
               (f"under {1e6 / goal:.0f} us", lambda ours, _, __: ours < 1 / goal))
    return [(a[1], b[1]) for a, b in measured]


def nodes(report, directory):
    with herd.herd(directory / "nodes", MANY) as daemon:
        p99 = load_line(report, daemon, "/nodes", f"/nodes with {MANY} VMs", 5000)
        report.add(f"GET /nodes with {MANY} VMs, 99th percentile : GET /healthz", p99,
                   goal=("under 2 ms", lambda ours, _, __: ours < 0.002))
        load_line(report, daemon, f"/vm/{daemon.group}-{MANY}", f"/vm/H, the last of {MANY}", 10000)


def many_memory(report, directory):
    """A VM's share of the daemon that has a thousand, its session up, against an idle daemon's whole."""
    def ours():
        with herd.herd(directory / "many", MANY) as daemon:
            return rss(daemon.pid)
    measured = pairs(ours, lambda: idle_rss(directory / "none", "fake"))
    report.add(f"daemon's memory for each of {MANY} VMs : an idle daemon's", [((a - b) / MANY, b) for a, b in measured], "KiB",
               1 / KIB, ("under 64 KiB", lambda ours, _, __: ours < 64 * KIB))


# --- taking over

def run_true(daemon, vm):
    answer = daemon.client.post(f"/vm/{vm}/exec", {"cmd": "/bin/true", "shell": "", "buffered": "true", "uid": 0}, timeout=5)
    return answer.status == 200 and answer.json["exit_code"] == 0


def exec_all(daemon, vms):
    """When the first VM has answered an exec, and the last one, from now; a daemon that is not there yet is asked again."""
    begun, first = time.monotonic(), None
    for vm in vms:
        while True:
            assert time.monotonic() < begun + 60, f"{vm} was not taken over: {daemon.log_text()[-2000:]}"
            with contextlib.suppress(OSError):
                if run_true(daemon, vm):
                    break
            time.sleep(0.001)
        first = first or time.monotonic() - begun
    return first, time.monotonic() - begun


def adopt(report, directory):
    for count in (10, 100):
        with plain(Daemon(directory / f"adopt{count}")) as daemon:
            vms = [daemon.client.create(daemon.group)["hostname"] for _ in range(count)]

            def ours():
                daemon.kill()
                begun = time.monotonic()
                daemon.spawn()
                before = time.monotonic() - begun
                first, last = exec_all(daemon, vms)
                return before + first, before + last
            measured = pairs(ours, lambda: exec_all(daemon, vms))
            for i, which in enumerate(("first", "last")):
                report.add(f"{count} VMs taken over, daemon's exec to the {which} exec's answer : without a restart",
                           [(a[i], b[i]) for a, b in measured])


# --- a long pipe

class Pipe:
    """exec of cat, fed and read at once; after each eleventh of what passes, at() is called."""

    def __init__(self, daemon, vm):
        self.daemon, self.vm, self.got = daemon, vm, 0

    def feed(self, raw):
        for _ in range(PIPE // len(PIECE)):
            raw.send(PIECE)

    def run(self, at):
        params = {"cmd": "/bin/cat", "shell": "", "uid": 0, "stdin": True}
        marks = [PIPE * i // (PAIRS + 1) for i in range(1, PAIRS + 1)]
        with self.daemon.client.raw(120) as raw:
            raw.head("POST", f"/vm/{self.vm}/exec", params, Connection="close", Content_Length=PIPE)
            feeder = threading.Thread(target=self.feed, args=(raw,))
            feeder.start()
            while data := raw.recv(MIB):
                self.got += len(data)
                if marks and self.got >= marks[0]:
                    marks.pop(0)
                    at()
            feeder.join()
        assert not marks and self.got >= PIPE, f"{self.got} bytes came back"


def pipe(report, directory):
    with plain(Daemon(directory / "pipe")) as daemon:
        vm = daemon.client.create(daemon.group)["hostname"]
        assert run_true(daemon, vm)
        agents = daemon.agent_pids(vm) or proc.descendants(daemon.vmm_pid(vm))
        watched = {"daemon": [daemon.pid], "agent": agents}
        before = {name: sum(rss(p) for p in pids) for name, pids in watched.items()}
        during = {name: [] for name in watched}

        def at():
            for name, pids in watched.items():
                during[name].append(sum(rss(p) for p in pids if proc.alive(p)))
        Pipe(daemon, vm).run(at)
        for name, sizes in during.items():
            report.add(f"{name}'s memory while {PIPE // MIB} MiB pass through exec cat : before",
                       [(size, before[name]) for size in sizes], "KiB", 1 / KIB,
                       ("grows by less than 4 MiB", lambda ours, theirs, _: ours - theirs < 4 * MIB))


LINES = {"memory": memory, "start": start, "list": cli_list, "nodes": nodes, "many": many_memory, "adopt": adopt, "pipe": pipe}
