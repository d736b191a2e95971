# SPDX-License-Identifier: MIT
"""vmm_launch() and vmm_destroy() by the program vmmrun: the fake hypervisor with an agent of a few lines, and failures."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from slicertest import BUILD, FAKE_VMM, MONITOR, alive, until
from slicertest.proc import children

VMMRUN = BUILD / "tests/fakevmm/vmmrun"

# Speaks on the control port only: says hello, echoes lines, and does what a line tells it.
AGENT = """#!/usr/bin/python3
import os, signal, socket, subprocess, sys, time
options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "fake" and options["--root"] == "/"
boots = os.path.join(options["--state"], "boots")
open(boots, "a").write("x")
print("agent", os.getpid(), len(open(boots).read()), open(options["--config"]).read()[:13], flush=True)
while True:
    s = socket.socket(socket.AF_UNIX)
    s.connect(options["--control"])
    s.sendall(b"hello\\n")
    while data := s.recv(4096):
        for word in data.decode().split():
            if word in ("poweroff", "reboot"):
                s.sendall(b"bye\\n")
                sys.exit({"poweroff": 10, "reboot": 11}[word])
            if word == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "daemon":
                subprocess.Popen(["sleep", "4711"], start_new_session=True)
            s.sendall(word.upper().encode() + b"\\n")
            if word == "wait":
                time.sleep(1)
"""


class Vm:
    def __init__(self, directory):
        self.dir = directory
        self.env = {**os.environ, "SLICER_MONITOR": str(MONITOR), "SLICER_FAKE_VMM": str(FAKE_VMM)}
        self.kernel, config, agent = (directory / n for n in ("kernel", "config", "agent"))
        self.kernel.write_bytes(b"not a kernel")
        config.write_bytes(b'{"version":1}'.ljust(4096, b"\0"))
        agent.write_text(AGENT)
        agent.chmod(0o755)
        self.env["SLICER_FAKE_AGENT"] = str(agent)
        self.run_dir = directory / "run"
        self.run_dir.mkdir()

    def vmmrun(self, command, **options):
        args = [f"{k}={v}" for k, v in ({"dir": self.run_dir} | options).items()]
        return subprocess.run([VMMRUN, command, *args], env=self.env, capture_output=True, text=True, timeout=60)

    def launch(self, **options):
        done = self.vmmrun("launch", **({"hypervisor": "fake", "config": self.dir / "config"} | options))
        assert done.returncode == 0, done.stderr
        self.process = json.loads(done.stdout)
        return self.process

    def connect(self, name):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(str(self.run_dir / name))
        return s

    def left(self):
        return sorted(p.name for p in self.run_dir.iterdir() if p.suffix != ".txt")


class Qmp:
    def __init__(self, vm):
        self.file = vm.connect("qmp.sock").makefile("rw")
        assert "QMP" in self.read()
        self("qmp_capabilities")

    def read(self):
        return json.loads(self.file.readline())

    def __call__(self, command):
        self.file.write(json.dumps({"execute": command, "id": 1}) + "\n")
        self.file.flush()
        return self.read()

    def event(self, name):
        assert self.read()["event"] == name


@pytest.fixture
def vm(tmp_path):
    vm = Vm(tmp_path)
    yield vm
    assert vm.vmmrun("destroy").returncode == 0


def read_line(s):
    data = b""
    while not data.endswith(b"\n"):
        chunk = s.recv(1)
        assert chunk, data
        data += chunk
    return data.decode().strip()


def test_life(vm):
    process = vm.launch()
    qmp, control = Qmp(vm), vm.connect("control.sock")
    assert read_line(control) == "hello"
    control.sendall(b"word\n")
    assert read_line(control) == "WORD"
    # Pausing stops the guest, not the hypervisor.
    assert qmp("stop")["event"] == "STOP"
    assert qmp.read() == {"return": {}, "id": 1}
    assert qmp("query-status")["return"] == {"status": "paused", "running": False}
    control.sendall(b"later\n")
    control.settimeout(0.3)
    with pytest.raises(TimeoutError):
        control.recv(1)
    control.settimeout(60)
    assert qmp("cont")["event"] == "RESUME"
    assert qmp.read() == {"return": {}, "id": 1}
    assert read_line(control) == "LATER"
    # A reboot keeps the host's connection, a crash is a reset without a word.
    control.sendall(b"reboot\n")
    assert [read_line(control), read_line(control)] == ["bye", "hello"]
    qmp.event("RESET")
    control.sendall(b"crash\n")
    qmp.event("RESET")
    assert read_line(control) == "hello"
    assert "error" in qmp("no-such-command")
    # The host goes away: the agent's connection ends, and there is a new one.
    control.close()
    control = vm.connect("control.sock")
    assert read_line(control) == "hello"
    control.sendall(b"daemon\n")
    assert read_line(control) == "DAEMON"
    until(lambda: subprocess.run(["pgrep", "-fx", "sleep 4711"], stdout=subprocess.DEVNULL).returncode == 0)
    control.sendall(b"poweroff\n")
    qmp.event("SHUTDOWN")
    until(lambda: not alive(process["monitor_pid"]))
    until(lambda: subprocess.run(["pgrep", "-fx", "sleep 4711"], stdout=subprocess.DEVNULL).returncode == 1)
    record = json.loads((vm.run_dir / "exit.json").read_text())
    assert record["exit_code"] == 0 and record["vmm_message"] == ""
    boots = re.findall(r'agent 2 (\d) \{"version":1\}', (vm.run_dir / "console.txt").read_text())
    assert boots == ["1", "2", "3"]


def test_a_guest_that_is_paused_does_not_come_back(vm):
    process = vm.launch()
    qmp, control = Qmp(vm), vm.connect("control.sock")
    assert read_line(control) == "hello"
    assert [qmp("stop")["event"], qmp.read()] == ["STOP", {"return": {}, "id": 1}]
    init, = children(process["vmm_pid"])
    os.kill(children(init)[0], signal.SIGKILL)
    qmp.event("RESET")
    time.sleep(0.5)
    assert children(process["vmm_pid"]) == []
    assert qmp("cont")["event"] == "RESUME"
    assert read_line(control) == "hello"


def test_what_a_guest_says_last_is_heard(vm):
    """Also by a host that was busy meanwhile."""
    process = vm.launch()
    control = vm.connect("control.sock")
    assert read_line(control) == "hello"
    control.sendall(b"wait poweroff\n")
    assert read_line(control) == "WAIT"
    init, = children(process["vmm_pid"])
    os.kill(process["vmm_pid"], signal.SIGSTOP)
    until(lambda: not alive(init))
    os.kill(process["vmm_pid"], signal.SIGCONT)
    assert read_line(control) == "bye" and control.recv(1) == b""


def test_second_launch_is_refused(vm):
    process = vm.launch()
    done = vm.vmmrun("launch", hypervisor="fake")
    assert done.returncode == 1 and "already" in done.stderr, done.stderr
    assert alive(process["vmm_pid"]) and alive(process["monitor_pid"])
    control = vm.connect("control.sock")
    assert read_line(control) == "hello"


def test_destroy(vm):
    process = vm.launch()
    assert vm.vmmrun("destroy").returncode == 0
    assert not alive(process["vmm_pid"]) and not alive(process["monitor_pid"])
    assert vm.left() == ["exit.json"], "the sockets are gone, the record is there"
    assert vm.vmmrun("destroy").returncode == 0, "twice is fine"
    second = vm.launch()
    assert second["vmm_pid"] != process["vmm_pid"] and vm.left()[-1] == "qmp.sock"


def test_destroy_with_a_monitor_that_stands_still(vm):
    """Nobody knows its pid, and it takes the connection without ever answering: it is not believed to be gone."""
    process = vm.launch(name=vm.run_dir.name)  # as a daemon does
    os.kill(process["monitor_pid"], signal.SIGSTOP)
    done = vm.vmmrun("destroy")
    assert done.returncode == 0, done.stderr
    assert not alive(process["monitor_pid"]) and not alive(process["vmm_pid"])
    assert vm.left() == []


def test_destroy_where_somebody_else_listens(vm):
    """Not a monitor: it is told of and not touched."""
    path = str(vm.run_dir / "monitor.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        done = vm.vmmrun("destroy")
        assert done.returncode == 1 and path in done.stderr and "does not answer" in done.stderr
        assert vm.left() == ["monitor.sock"]


def test_agent_cannot_be_started(vm):
    vm.env["SLICER_FAKE_AGENT"] = "/nonexistent/agent"
    with contextlib.suppress(AssertionError):  # its end may come before or after the greeting
        process = vm.launch()
        until(lambda: not alive(process["monitor_pid"]))
        assert "/nonexistent/agent" in json.loads((vm.run_dir / "exit.json").read_text())["vmm_message"]


@pytest.mark.parametrize("options,words", [
    ({"kernel": "/nonexistent/kernel"}, "cannot open kernel /nonexistent/kernel"),
    ({"kernel": "/tmp"}, "is not a regular file"),
    ({"initrd": "/nonexistent/initrd"}, "cannot open initramfs"),
    ({"data": "/nonexistent/disk"}, "cannot open disk"),
    ({"name": "a,b"}, "comma"),
    ({"vcpus": 0}, "vCPUs"),
    ({}, "it ended while starting: qemu: invalid kernel header"),  # QEMU's own words
])
def test_failed_launch_leaves_nothing(vm, options, words):
    done = vm.vmmrun("launch", **({"hypervisor": "qemu", "kernel": vm.kernel, "ram": 128} | options))
    assert done.returncode != 0 and words in done.stderr and "cannot start" in done.stderr, done.stderr
    assert vm.left() == []


def test_unreadable_kernel(vm):
    vm.kernel.chmod(0o600)
    done = vm.vmmrun("launch", hypervisor="qemu", kernel=vm.kernel)
    assert done.returncode == 1 and "chmod a+r" in done.stderr and vm.left() == []


def test_missing_monitor(vm):
    vm.env["SLICER_MONITOR"] = "/nonexistent/slicer-monitor"
    done = vm.vmmrun("launch", hypervisor="fake")
    assert done.returncode == 1 and "/nonexistent/slicer-monitor" in done.stderr and vm.left() == []


def test_many(vm):
    """A fake VM is small: 30 of them, measured."""
    pids = []
    dirs = [vm.dir / f"run{i}" for i in range(30)]
    try:
        for i, d in enumerate(dirs):
            d.mkdir()
            process = vm.launch(dir=d, name=f"vm-{i}")
            pids.append((process["monitor_pid"], process["vmm_pid"]))
        for monitor, vmm in pids:
            for pid in (monitor, vmm):
                rss = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
                assert int(rss[1]) < 2048
    finally:
        for d in dirs:
            assert vm.vmmrun("destroy", dir=d).returncode == 0
    assert not any(alive(pid) for pair in pids for pid in pair)
