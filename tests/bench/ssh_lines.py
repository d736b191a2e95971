# SPDX-License-Identifier: MIT
"""Exec and cp against ssh and scp to the same guest: image debian on a bridge in a network namespace."""
import contextlib
import os
import pathlib
import subprocess

from guest_lines import execs_seconds
from host_lines import plain
from measure import pairs, seconds
from slicertest import AGENT, IMAGE, Daemon, until

MIB = 1024 * 1024
SIZE = int(os.environ.get("SLICER_BENCH_MIB", 64)) * MIB
RUNS = 3


@contextlib.contextmanager
def namespace():
    name = f"slb-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


class Ssh:
    """A client whose connections share one that stays (ControlMaster)."""

    def __init__(self, prefix, directory, key, address):
        self.prefix, self.control, self.to = prefix, directory / "ssh", f"root@{address}"
        self.options = ["-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                        "-o", "UserKnownHostsFile=/dev/null", "-o", f"ControlPath={self.control}"]

    def run(self, *argv):
        return subprocess.run([*self.prefix, *argv], capture_output=True, text=True, timeout=300)

    def ssh(self, *words):
        return self.run("ssh", *self.options, self.to, *words)

    def __enter__(self):
        def connected():  # what stays behind holds on to its output: there must be nobody waiting for the end of that
            argv = [*self.prefix, "ssh", *self.options, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", self.to, "true"]
            return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=60).returncode == 0
        until(connected, 180, "ssh connects", pause=1)
        return self

    def __exit__(self, *_):
        self.run("ssh", *self.options, "-O", "exit", self.to)

    def true(self):
        assert self.ssh("/bin/true").returncode == 0

    def copy(self, source, to):
        done = self.run("scp", "-q", *self.options, source, to)
        assert done.returncode == 0, done.stderr


def ssh_exec(report, daemon, vm, ssh):
    report.add("exec of /bin/true, buffered : ssh, shared connection",
               pairs(lambda: execs_seconds(daemon, vm), lambda: seconds(lambda: [ssh.true() for _ in range(RUNS)]) / RUNS),
               goal=("at most 0.25", lambda _, __, ratio: ratio <= 0.25))


def ssh_copy(report, daemon, vm, ssh):
    data, here = os.urandom(SIZE), daemon.dir / "data"
    here.write_bytes(data)
    goal = ("at least 1.5 times as fast", lambda _, __, ratio: ratio <= 1 / 1.5)
    report.add(f"cp of {SIZE // MIB} MiB into the guest : scp",
               pairs(lambda: seconds(lambda: daemon.client.write(vm, "/run/a", data, uid=0, gid=0)),
                     lambda: seconds(ssh.copy, str(here), f"{ssh.to}:/run/b")), goal=goal)
    report.add(f"cp of {SIZE // MIB} MiB out of the guest : scp",
               pairs(lambda: seconds(lambda: daemon.client.read(vm, "/run/a", uid=0, gid=0)),
                     lambda: seconds(ssh.copy, f"{ssh.to}:/run/b", str(daemon.dir / "back"))), goal=goal)
    assert (daemon.dir / "back").read_bytes() == data


def ssh(report, directory):
    directory = pathlib.Path(directory)
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    subprocess.run([IMAGE, "build", "debian", "--store", os.environ["SLICER_STORE"], "--agent", AGENT], check=True,
                   capture_output=True)
    with namespace() as name:
        prefix = ("nsenter", f"--net=/run/netns/{name}")
        # Both copies are in /run, a fifth of the memory.
        group = {"image": "debian", "ram_mb": max(1024, 16 * SIZE // MIB),
                 "network": {"bridge": "brbench0", "tap_prefix": "brb", "gateway": "192.168.138.1/24"}}
        with plain(Daemon(directory / "ssh", hypervisor="qemu", group=group, prefix=prefix,
                          config={"ssh_keys": [key.with_suffix(".pub").read_text().strip()]})) as daemon:
            made = daemon.client.create(daemon.group, timeout="240s")
            with Ssh(prefix, directory, key, made["ip"].partition("/")[0]) as client:
                ssh_exec(report, daemon, made["hostname"], client)
                ssh_copy(report, daemon, made["hostname"], client)


LINES = {"ssh": ssh}
