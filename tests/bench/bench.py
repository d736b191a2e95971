#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures a daemon and a guest against the least that could do the same, in pairs, one after the other: docs/benchmarks.md.

What cannot be measured fails; nothing is left out."""
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import bare  # noqa: E402
from slicertest import AGENT, IMAGE, SLICER, Daemon, rss, until  # noqa: E402

PAIRS = 11
MIB = 1024 * 1024
SIZE = 64 * MIB
SPAWNS = 20   # per round; one fork and exec takes a millisecond or two under emulation
STARTS = 5    # per round; a start of a program varies more than it takes


def seconds(function, *args):
    before = time.monotonic()
    function(*args)
    return time.monotonic() - before


def pairs(ours, theirs, count=PAIRS):
    """[(ours, theirs)], interleaved, so that what else the machine does hits both."""
    ours(), theirs()  # warm: caches, templates
    return [(ours(), theirs()) for _ in range(count)]


def line(name, measured, unit, scale):
    """The medians, and the median of the pairs' ratios with the smallest and the largest."""
    ours, theirs = (statistics.median(values) for values in zip(*measured))
    ratios = sorted(a / b for a, b in measured)
    print(f"| {name} | {ours * scale:.1f} {unit} | {theirs * scale:.1f} {unit} "
          f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f}–{ratios[-1]:.2f} |", flush=True)


# --- a VM's start

def create_seconds(daemon):
    before = time.monotonic()
    vm = daemon.client.create(daemon.group)["hostname"]
    took = time.monotonic() - before
    daemon.client.remove(vm)
    return took


def bench_create(daemon, vm):
    recipe = bare.recipe_of(daemon.vmm_pid(vm))
    empty_disk = next(pathlib.Path(os.environ["SLICER_STORE"]).rglob("ext4-*.qcow2"))
    measured = pairs(lambda: create_seconds(daemon), lambda: bare.boot_seconds(recipe, empty_disk, daemon.dir / "bare"))
    line("create until the agent answers : bare QEMU until the agent's first line", measured, "ms", 1000)


# --- exec

def buffered_true(daemon, vm):
    answer = daemon.client.post(f"/vm/{vm}/exec", {"cmd": "/bin/true", "shell": "", "buffered": "true", "uid": 0})
    assert answer.status == 200 and answer.json["exit_code"] == 0, answer


def guest_output(daemon, vm, *argv):
    answer = daemon.client.post(f"/vm/{vm}/exec", {"cmd": argv[0], "args": list(argv[1:]), "shell": "", "buffered": "true",
                                                   "uid": 0})
    assert answer.status == 200 and answer.json["exit_code"] == 0, (answer, answer.text)
    return answer.json["stdout"]


def spawn_seconds(daemon, vm):
    text = guest_output(daemon, vm, "/run/slicer/bin/slicer-agent", "bench", "spawn", str(SPAWNS))
    words = text.split()
    return int(words[words.index("us") - 1]) / 1e6


def bench_exec(daemon, vm):
    def ours():
        return seconds(lambda: [buffered_true(daemon, vm) for _ in range(SPAWNS)]) / SPAWNS
    line("exec of /bin/true, buffered : fork and exec in the guest", pairs(ours, lambda: spawn_seconds(daemon, vm)), "ms", 1000)


# --- copies

def exec_raw(daemon, vm, command, body=None):
    """Through the API without reading the frames: a client in Python would measure itself."""
    params = {"cmd": "/bin/sh", "args": ["-c", command], "shell": "", "uid": 0, "stdin": body is not None or None}
    with daemon.client.raw(120) as raw:
        raw.head("POST", f"/vm/{vm}/exec", params, Connection="close", Content_Length=len(body or b""))
        raw.send(body or b"")
        got = 0
        while True:
            data = raw.recv(MIB)
            if not data:
                return got
            got += len(data)


def bench_copy_in(daemon, vm, data):
    def ours():
        return seconds(lambda: daemon.client.write(vm, "/run/bench.in", data, uid=0, gid=0))

    def theirs():
        return seconds(exec_raw, daemon, vm, "cat >/run/bench.cat", data)
    measured = pairs(ours, theirs)
    for name in ("in", "cat"):
        assert guest_output(daemon, vm, "/bin/stat", "-c", "%s", f"/run/bench.{name}").strip() == str(SIZE)
    line("cp of 64 MiB into the guest : exec cat", measured, "ms", 1000)


def bench_copy_out(daemon, vm, data):
    def ours():
        before = time.monotonic()
        copy = daemon.client.read(vm, "/run/bench.in", uid=0, gid=0)
        took = time.monotonic() - before
        assert copy == data
        return took

    def theirs():
        before = time.monotonic()
        got = exec_raw(daemon, vm, "cat /run/bench.in")
        took = time.monotonic() - before
        assert got >= SIZE, got
        return took
    line("cp of 64 MiB out of the guest : exec cat", pairs(ours, theirs), "ms", 1000)


# --- the host's side

def true_seconds():
    return seconds(subprocess.run, ["/bin/true"])


def best_of(function, count=STARTS):
    return min(function() for _ in range(count))


def bench_list(daemon):
    def ours():
        return seconds(daemon.cli.ok, "vm", "list")
    line("slicer vm list, one VM : /bin/true on the host", pairs(lambda: best_of(ours), lambda: best_of(true_seconds)), "ms",
         1000)


def start_seconds(directory):
    daemon = Daemon(directory, hypervisor="qemu")
    daemon.write_config()
    before = time.monotonic()
    daemon.spawn()
    try:
        while True:
            assert daemon.process.poll() is None and time.monotonic() < before + 60, daemon.log_text()
            with contextlib.suppress(OSError):
                if daemon.client.get("/healthz", timeout=5).status == 200:
                    break
            time.sleep(0.001)
        took = time.monotonic() - before
    finally:
        daemon.stop()
    return took


def bench_start(directory):
    line("daemon until its first answer : qemu-system --version",
         pairs(lambda: start_seconds(directory / "start"),
               lambda: seconds(lambda: subprocess.run([bare.QEMU, "--version"], stdout=subprocess.DEVNULL, check=True))),
         "ms", 1000)


def bench_memory(directory):
    """The daemon's resident memory against that of a process that does nothing."""
    def ours():
        with Daemon(directory / "idle", hypervisor="qemu") as daemon:
            return rss(daemon.pid)

    def theirs():
        with subprocess.Popen(["/bin/sleep", "60"]) as process:
            until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"), 5, "sleep runs")
            time.sleep(0.05)
            size = rss(process.pid)
            process.kill()
        return size
    line("idle daemon's memory : /bin/sleep's", pairs(ours, theirs), "KiB", 1 / 1024)


def main():
    with tempfile.TemporaryDirectory(prefix="slicer-bench.") as name:
        directory = pathlib.Path(name)
        store = os.environ["SLICER_STORE"] = str(directory / "store")
        for made in ("/run/slicer", "/var/log/slicer"):
            os.makedirs(made, mode=0o750, exist_ok=True)
        subprocess.run([IMAGE, "build", "micro", "--store", store, "--agent", AGENT], check=True, capture_output=True)
        print(f"{PAIRS} interleaved pairs each; {SLICER}\n", flush=True)
        print("| ours : baseline | ours | baseline | ratio | smallest–largest |\n|---|---|---|---|---|", flush=True)
        bench_memory(directory)
        bench_start(directory)
        with Daemon(directory / "vms", hypervisor="qemu", group={"ram_gb": 1}) as daemon:
            vm = daemon.client.create(daemon.group)["hostname"]
            bench_list(daemon)
            bench_exec(daemon, vm)
            data = os.urandom(SIZE)
            bench_copy_in(daemon, vm, data)
            bench_copy_out(daemon, vm, data)
            bench_create(daemon, vm)


if __name__ == "__main__":
    main()
