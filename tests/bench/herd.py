# SPDX-License-Identifier: MIT
"""Many VMs for one daemon: a first one is made by the daemon itself, its record is multiplied, and one process (peers.c) plays
the monitors, hypervisors and agents of all of them. The next daemon takes them over as it would real ones."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import time

from slicertest import BUILD, Daemon, proc, until

PEERS = BUILD / "tests/bench/peers"


def peers_start(daemon, count):
    process = subprocess.Popen([str(PEERS), str(daemon.run_dir), daemon.group, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", "the peers did not get ready"
    return process


def record_template(daemon):
    with daemon:
        vm = daemon.client.create(daemon.group)["hostname"]
        record = json.loads((daemon.state_dir / "vms" / vm / "record.json").read_text())
        daemon.client.remove(vm)
    return record


def write_records(daemon, template, count, pid):
    start = proc.start_time(pid)
    for i in range(1, count + 1):
        name = f"{daemon.group}-{i}"
        directory = daemon.state_dir / "vms" / name
        directory.mkdir(mode=0o700)
        record = {**template, "hostname": name, "number": i, "uid_slot": i - 1, "persistent": False,
                  "processes": {**template["processes"], "monitor_pid": pid, "monitor_start": start, "vmm_pid": pid,
                                "vmm_start": start}}
        (directory / "record.json").write_text(json.dumps(record))


def all_ready(daemon, count):
    """Every session is up: the list shows what the peers' agents cannot be asked for, so the daemon is asked for one VM each."""
    nodes = daemon.client.get("/nodes").json
    return len(nodes) == count and all(
        daemon.client.get(f"/vm/{n['hostname']}").json["agent_ready"] for n in nodes)


@contextlib.contextmanager
def herd(directory, count):
    """A daemon that has taken over `count` VMs, all sessions up."""
    daemon = Daemon(pathlib.Path(directory), hypervisor="fake")
    del daemon.env["SLICER_CHECK_KEPT"]
    template = record_template(daemon)
    daemon.state_dir.joinpath("vms").mkdir(exist_ok=True)
    peers = peers_start(daemon, count)
    try:
        write_records(daemon, template, count, peers.pid)
        begun = time.monotonic()
        daemon.start()
        daemon.started_s = time.monotonic() - begun
        until(lambda: all_ready(daemon, count), 120, "all sessions are up")
        yield daemon
    finally:
        if daemon.process:
            daemon.kill()  # a daemon that stops in order would ask the peers to end their VMs
        peers.stdin.close()
        peers.wait(10)
        peers.stdout.close()
        shutil.rmtree(daemon.run_dir, ignore_errors=True)
        shutil.rmtree(daemon.state_dir, ignore_errors=True)
