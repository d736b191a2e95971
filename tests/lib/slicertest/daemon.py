# SPDX-License-Identifier: MIT
"""A daemon in a directory of its own."""
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess

import yaml

from . import leaks, proc
from .cli import Cli
from .http import Client
from .paths import AGENT, FAKE_VMM, SLICER
from .wait import until

GROUP_NUMBERS = itertools.count(1)
RUN, LOG = pathlib.Path("/run/slicer"), pathlib.Path("/var/log/slicer")


class UpFailed(Exception):
    """`up` ended before it served."""

    def __init__(self, returncode, stderr):
        super().__init__(f"slicer up: exit {returncode}: {stderr}")
        self.returncode, self.stderr = returncode, stderr


def free_port():
    """One that stays free until it is used: of those from which the kernel takes any for connections and for port 0, it is none."""
    for _ in range(1000):
        port = random.randrange(15000, 30000)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no port is free")


class Daemon:
    """
    directory: the working directory, made where it is not there.
    hypervisor: "fake" (the real agent in namespaces of this host) or "qemu".
    tcp: listen on a free TCP port with a token; else on a Unix socket without.
    group: further keys of the one host group; config: further keys below `config:`.
    """

    def __init__(self, directory, hypervisor="fake", tcp=False, group=None, config=None, store=None, env=None,
                 slicer=SLICER, prefix=()):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        # Console logs are named by VM only, so that each daemon has a group name of its own.
        self.group = f"g{os.getpid() % 1000}x{next(GROUP_NUMBERS)}"
        self.slicer, self.process, self.log = slicer, None, self.dir / "daemon.log"
        self.stop_s = 90  # as systemd gives it
        self.prefix = tuple(prefix)  # words before the command, which exec it: nsenter, setpriv
        self.token = "t0ken-" + self.group if tcp else None
        self.address = ("127.0.0.1", free_port()) if tcp else str(self.dir / "api.sock")
        api = ({"port": self.address[1], "auth": {"token": self.token}} if tcp else {"bind_address": self.address})
        ram = {} if group and any(k.startswith("ram_") for k in group) else {"ram_mb": 256}
        self.config = {"hypervisor": hypervisor, "api": api, "image": "micro",
                       "host_groups": [{"name": self.group, "count": 0, "vcpu": 1, **ram,
                                        "network": {"mode": "user"}, **(group or {})}],
                       **(config or {})}
        self.file = self.dir / "slicer.yaml"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SLICER_") or k == "SLICER_ACCEL"}
        self.env.update({"SLICER_STORE": str(store or os.environ["SLICER_STORE"]), "SLICER_ACCEL": "tcg",
                         "SLICER_FAKE_VMM": str(FAKE_VMM), "SLICER_FAKE_AGENT": str(AGENT), "SLICER_CHECK_KEPT": "1",
                         **(env or {})})
        self.client = Client(self.address, self.token)
        url = f"http://127.0.0.1:{self.address[1]}" if tcp else self.address
        self.cli = Cli(url, self.token, cwd=self.dir, slicer=slicer)

    @property
    def id(self):
        real = os.path.realpath(self.file)
        return f"{self.file.stem}-{hashlib.sha256(real.encode()).hexdigest()[:6]}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def state_dir(self):
        return self.dir / ".slicer" / self.id

    @property
    def run_dir(self):
        return RUN / self.id

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def write_config(self):
        self.file.write_text(yaml.safe_dump({"config": self.config}))

    def spawn(self, prefix=(), **kwargs):
        """Without a terminal, as under systemd: with one it would end on SIGHUP."""
        kwargs.setdefault("start_new_session", True)
        self.write_config()
        leaks.DAEMON_IDS.add(self.id)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, *prefix, str(self.slicer), "up", str(self.file)], cwd=self.dir,
                                            env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kwargs)

    def start(self, seconds=120):
        """Starts it and waits until it answers. UpFailed when it ends instead."""
        before = len(self.log_text())
        self.spawn()

        def answers():
            if self.process.poll() is not None:
                raise UpFailed(self.process.returncode, self.log_text()[before:])
            try:
                return self.client.get("/healthz", timeout=5).status == 200
            except OSError:
                return False
        until(answers, seconds, "the daemon answers")
        return self

    def fails(self, seconds=120, prefix=()):
        """Starts it, expecting that it ends by itself; returns exit code and what it said."""
        before = len(self.log_text())
        self.spawn(prefix=prefix)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError("the daemon did not refuse to start") from None
        self.process = None
        return code, self.log_text()[before:]

    def stop(self, seconds=None):
        """As a user does; returns the exit code."""
        seconds = seconds or self.stop_s
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the daemon did not stop within {seconds} s:\n{self.log_text()[-3000:]}") from None
        code, self.process = self.process.returncode, None
        return code

    def kill(self):
        """kill -9: VMs go on."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def clean(self):
        """Ends the daemon and all its VMs; fails when it did not do it well."""
        if not self.process and self.records():
            self.start()  # what a killed one left is for the next one to end
        if self.process:
            code = self.process.poll()
            assert code is None, f"the daemon has died: exit {code}:\n{self.log_text()[-3000:]}"
            for node in self.client.nodes():
                self.client.delete(f"/hostgroup/{node['hostgroup']}/nodes/{node['hostname']}")
            code = self.stop()
            assert code == 0, f"exit {code}:\n{self.log_text()[-3000:]}"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind:
            self.tell()
        try:
            self.clean()
        except BaseException:
            self.destroy()
            raise

    def tell(self):
        """Prints its log and its VMs' consoles, the ends of them."""
        print(f"--- daemon {self.id}:\n{self.log_text()[-8000:]}")
        for path in LOG.glob(self.group + "-*"):
            print(f"--- {path}:\n{path.read_text(errors='replace')[-2000:]}")

    def destroy(self):
        """Removes what a daemon that failed has left, so that one failure does not become many."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        for record in self.records():
            for kind in ("monitor", "vmm"):
                pid = record.get(f"{kind}_pid")
                if pid and proc.start_time(pid) == record[f"{kind}_start"]:
                    os.kill(pid, signal.SIGKILL)
        for path in LOG.glob(self.group + "-*"):
            path.unlink()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        self.run_dir.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(self.state_dir, ignore_errors=True)

    # --- what it keeps of a VM
    def records(self):
        found = []
        for directory in sorted((self.state_dir / "vms").glob("*")):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it is just being deleted
                found.append(self.record(directory.name))
        return found

    def record(self, vm):
        record = json.loads((self.state_dir / "vms" / vm / "record.json").read_text())
        return {**record, **(record.get("processes") or {})}

    def pid_of(self, vm, kind):
        """The agent may answer before the last record of the launch is on the disk, which has the pids."""
        return until(lambda: self.record(vm).get(kind), 20, f"{kind} of {vm} in its record")

    def vmm_pid(self, vm):
        return self.pid_of(vm, "vmm_pid")

    def monitor_pid(self, vm):
        return self.pid_of(vm, "monitor_pid")

    def agent_pids(self, vm):
        """Of a fake VM: the agent's processes as the host sees them."""
        return [p for p in proc.descendants(self.vmm_pid(vm)) if "slicer-agent" in " ".join(proc.cmdline(p)[:1])
                or proc.name_of(p).startswith("slicer-agent")]

    def create_whole(self, **body):
        """A VM that a module's tests share, with its console's log: that comes from its monitor, at a time of its own, and would be
        something new to a test that looks for what it has left."""
        vm = self.client.create(self.group, **body)["hostname"]
        until(lambda: self.console(vm), what=f"the log of {vm}")
        return vm

    def agent_server(self, vm):
        """Of those the one that serves, which has the sessions and the memory: what it forks has its name, too, and ends at any time."""
        def look():
            parents = proc.parents()
            named = {p for p in proc.descendants(self.vmm_pid(vm)) if proc.name_of(p) == "slicer-server" and proc.alive(p)}
            return [p for p in named if parents.get(p) not in (None, *named)]
        return until(look, what=f"the agent of {vm} serves")[0]

    def console(self, vm):
        try:
            return (LOG / f"{vm}.txt").read_bytes()
        except FileNotFoundError:  # not there yet, or just put aside because it is full
            return b""
