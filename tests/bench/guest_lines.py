# SPDX-License-Identifier: MIT
"""What needs a guest: its start, exec and copies, against bare QEMU and against what the guest itself takes."""
import os
import pathlib
import time

import bare
from host_lines import plain
from measure import pairs, seconds
from slicertest import Daemon

MIB = 1024 * 1024
SIZE = 16 * MIB
SPAWNS = 20   # per round; one fork and exec takes a millisecond or two under emulation


def guest_output(daemon, vm, *argv):
    answer = daemon.client.post(f"/vm/{vm}/exec", {"cmd": argv[0], "args": list(argv[1:]), "shell": "", "buffered": "true",
                                                   "uid": 0})
    assert answer.status == 200 and answer.json["exit_code"] == 0, (answer, answer.text)
    return answer.json["stdout"]


def execs_seconds(daemon, vm):
    return seconds(lambda: [guest_output(daemon, vm, "/bin/true") for _ in range(SPAWNS)]) / SPAWNS


def spawn_seconds(daemon, vm):
    text = guest_output(daemon, vm, "/run/slicer/bin/slicer-agent", "bench", "spawn", str(SPAWNS))
    words = text.split()
    return int(words[words.index("us") - 1]) / 1e6


def spawn(report, daemon, vm):
    report.add("exec of /bin/true, buffered : fork and exec in the guest",
               pairs(lambda: execs_seconds(daemon, vm), lambda: spawn_seconds(daemon, vm)),
               goal=("at most 1 ms more", lambda ours, theirs, _: ours - theirs <= 0.001))


def exec_raw(daemon, vm, command, body=None):
    """Through the API without reading the frames: a client in Python would measure itself."""
    params = {"cmd": "/bin/sh", "args": ["-c", command], "shell": "", "uid": 0, "stdin": body is not None or None}
    with daemon.client.raw(120) as raw:
        raw.head("POST", f"/vm/{vm}/exec", params, Connection="close", Content_Length=len(body or b""))
        raw.send(body or b"")
        got = 0
        while data := raw.recv(MIB):
            got += len(data)
        return got


def copy_in(daemon, vm, data):
    return seconds(lambda: daemon.client.write(vm, "/run/bench.in", data, uid=0, gid=0))


def copy_out(daemon, vm, data):
    before = time.monotonic()
    copy = daemon.client.read(vm, "/run/bench.in", uid=0, gid=0)
    took = time.monotonic() - before
    assert copy == data
    return took


def cat_out(daemon, vm):
    before = time.monotonic()
    got = exec_raw(daemon, vm, "cat /run/bench.in")
    took = time.monotonic() - before
    assert got >= SIZE, got
    return took


def copy(report, daemon, vm):
    data = os.urandom(SIZE)
    measured = pairs(lambda: copy_in(daemon, vm, data), lambda: seconds(exec_raw, daemon, vm, "cat >/run/bench.cat", data))
    for name in ("in", "cat"):
        assert guest_output(daemon, vm, "/bin/stat", "-c", "%s", f"/run/bench.{name}").strip() == str(SIZE)
    report.add(f"cp of {SIZE // MIB} MiB into the guest : exec cat", measured)
    report.add(f"cp of {SIZE // MIB} MiB out of the guest : exec cat",
               pairs(lambda: copy_out(daemon, vm, data), lambda: cat_out(daemon, vm)))


def create_seconds(daemon):
    before = time.monotonic()
    vm = daemon.client.create(daemon.group)["hostname"]
    took = time.monotonic() - before
    daemon.client.remove(vm)
    return took


def create(report, daemon, vm):
    """Twice: to the agent's first instruction, which is what it may cost at all, and to where the agent is ready, which leaves
    what the host adds: both sides load the same drivers and mount the same disks then."""
    recipe = bare.recipe_of(daemon.vmm_pid(vm))
    empty_disk = next(pathlib.Path(os.environ["SLICER_STORE"]).rglob("ext4-*.qcow2"))
    for mark, until in ((bare.AGENT_MARK, "first line"), (bare.READY_MARK, "last line, ready")):
        measured = pairs(lambda: create_seconds(daemon),
                         lambda: bare.boot_seconds(recipe, empty_disk, daemon.dir / "bare", mark))
        report.add(f"create until the agent answers : bare QEMU until the agent's {until}", measured,
                   goal=("1.05 and 5 ms", lambda ours, theirs, _: ours <= 1.05 * theirs + 0.005))


def with_guest(function):
    def run(report, directory):
        with plain(Daemon(directory / function.__name__, hypervisor="qemu", group={"ram_gb": 1})) as daemon:
            function(report, daemon, daemon.client.create(daemon.group)["hostname"])
    return run


LINES = {f.__name__: with_guest(f) for f in (spawn, copy, create)}
