# SPDX-License-Identifier: MIT
"""The daemon as a process: VMs outlive it, a new one takes them over, and what it promised is on the disk."""
import fcntl
import json
import os
import re
import signal
import subprocess
import time

import pytest
from slicertest import UpFailed, alive, descendants, exec_stream, find_processes, open_files, proc, rss, run, until
from slicertest.daemon import LOG
from slicertest.truth import wait_for_truth

MIB = 1024 * 1024
CONSOLE_LIMIT = 8 * MIB


def write_console(d, vm, data):
    """As the guest does: into the pipe that the VM's monitor reads."""
    with open(f"/proc/{d.agent_pids(vm)[0]}/fd/1", "wb", buffering=0) as console:
        view = memoryview(data)
        while view:
            view = view[console.write(view):]


def exit_record(d, vm):
    path = d.state_dir / "vms" / vm / "exit.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_vm_outlives_a_killed_daemon(daemon):
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    vmm, monitor = d.vmm_pid(vm), d.monitor_pid(vm)
    frames = exec_stream(d.client, vm, "sleep", "888.125")
    next(frames)
    d.kill()
    assert alive(vmm) and alive(monitor)
    until(lambda: not find_processes("sleep 888.125"), 10, "what ran for the dead daemon's clients ends")

    # Its console is read and bounded, though nobody is there.
    write_console(d, vm, b"while nobody looked\n")
    until(lambda: b"while nobody looked" in d.console(vm), 5)
    for i in range(40):
        write_console(d, vm, (b"%06d " % i + b"x" * 92 + b"\n") * (MIB // 100))
    until(lambda: b"000039" in d.console(vm)[-200:], 10)
    sizes = [p.stat().st_size for p in LOG.glob(f"{vm}.txt*")]
    assert len(sizes) == 2 and sum(sizes) <= 2 * CONSOLE_LIMIT + MIB, sizes
    assert rss(monitor) < 16 * MIB

    # It is taken over.
    d.start()
    node = d.client.node(vm)
    assert node["status"] == "Running" and d.vmm_pid(vm) == vmm and alive(vmm)
    assert run(d.client, vm, "echo", "again").stdout == b"again\n"

    # And when it ends while no daemon runs, that is recorded, and found.
    d.kill()
    os.kill(vmm, signal.SIGKILL)
    record = until(lambda: exit_record(d, vm), 10, "the exit record")
    assert record["signal"] == "SIGKILL" and record["vmm_pid"] == vmm and record["vm"] == vm
    assert "x" * 50 in record["console_tail"]
    until(lambda: not alive(monitor), 5)
    d.start()
    until(lambda: d.client.node(vm)["status"] == "Stopped", 10)
    assert d.client.post(f"/vm/{vm}/relaunch").status in (200, 201)
    assert run(d.client, vm, "echo", "once more").stdout == b"once more\n"


def test_a_killed_daemon_leaves_no_helper_of_its_own(daemon):
    """Only monitors and what they started stay."""
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    below = descendants(d.pid)
    monitor = d.monitor_pid(vm)
    d.kill()
    kept = {monitor, *descendants(monitor)}
    until(lambda: not [p for p in below if alive(p) and p not in kept], 5)
    d.start()
    assert d.client.node(vm)["status"] == "Running"


@pytest.mark.parametrize("persistent", [True, False])
def test_a_vm_that_ended_without_a_daemon(daemon, persistent):
    d = daemon()
    vm = d.client.create(d.group, persistent=persistent)["hostname"]
    vmm = d.vmm_pid(vm)
    d.kill()
    os.kill(vmm, signal.SIGKILL)
    until(lambda: not alive(vmm), 5)
    d.start()
    if persistent:
        until(lambda: d.client.node(vm)["status"] == "Stopped", 10)
    else:
        until(lambda: d.client.node(vm) is None, 10)
        assert d.records() == []


def test_killing_a_monitor_ends_its_vm(daemon):
    """Nothing runs unwatched."""
    d = daemon()
    kept, gone = (d.client.create(d.group, persistent=p)["hostname"] for p in (True, False))
    below = [p for vm in (kept, gone) for p in [d.vmm_pid(vm), *descendants(d.monitor_pid(vm))]]
    for vm in (kept, gone):
        os.kill(d.monitor_pid(vm), signal.SIGKILL)
    until(lambda: not any(alive(p) for p in below), 10)
    until(lambda: d.client.node(gone) is None and d.client.node(kept)["status"] == "Stopped", 10)
    assert d.client.post(f"/vm/{kept}/relaunch").status in (200, 201)
    assert run(d.client, kept, "echo", "up").stdout == b"up\n"


def test_sigterm_stops_all_and_leaves_only_what_is_kept(daemon):
    d = daemon(group={"count": 2})
    services = [f"{d.group}-1", f"{d.group}-2"]
    until(lambda: all(d.client.get(f"/vm/{s}/health").status == 200 for s in services), 30)
    kept = d.client.create(d.group, persistent=True)["hostname"]
    d.client.create(d.group)
    pids = [d.vmm_pid(n["hostname"]) for n in d.client.nodes()]
    assert d.stop() == 0
    assert not any(alive(p) for p in pids)
    assert [(r["hostname"], r["state"]) for r in d.records()] == [(kept, "Stopped")]
    d.start()
    assert d.client.node(kept)["status"] == "Stopped"
    assert sorted(n["hostname"] for n in d.client.nodes()) == sorted([kept, *services])
    assert d.client.post(f"/vm/{kept}/relaunch").status in (200, 201)
    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{kept}").status == 200


@pytest.mark.parametrize("how", ["shutdown", "the daemon stops", "shutdown by the next daemon"])
def test_a_paused_guest_is_shut_down_like_others(daemon, how):
    """It goes on for that: it would lose what it has not written yet."""
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    assert d.client.post(f"/vm/{vm}/pause").status == 200
    if how == "shutdown by the next daemon":
        d.kill()
        d.start()
        assert d.client.node(vm)["status"] == "Paused"
    assert d.stop() == 0 if how == "the daemon stops" else d.client.post(f"/vm/{vm}/shutdown").status == 200
    assert f"{vm} powers off".encode() in d.console(vm) and d.record(vm)["state"] == "Stopped"


def test_a_second_signal_does_not_wait_for_guests(daemon):
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    for pid in d.agent_pids(vm):
        os.kill(pid, signal.SIGSTOP)  # this guest will not power off
    d.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping" in d.log_text(), what="the first one is heard: two at once are one")
    time.sleep(0.5)
    assert d.process.poll() is None
    d.process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert d.process.wait(90) == 0 and time.monotonic() - start < 45, "less than the minute that a guest has to power off"
    d.process = None


def test_graceful_shutdown_can_be_turned_off(daemon):
    d = daemon(config={"graceful_shutdown": False})
    vm = d.client.create(d.group, persistent=True)["hostname"]
    for pid in d.agent_pids(vm):
        os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    assert d.stop() == 0 and time.monotonic() - start < 45, "less than the minute that a guest has to power off"


def test_count_starts_services_and_a_changed_count_is_followed(daemon):
    d = daemon(group={"count": 1})
    one, two = f"{d.group}-1", f"{d.group}-2"
    until(lambda: d.client.get(f"/vm/{one}/health").status == 200, 30)
    first = d.vmm_pid(one)
    d.kill()
    d.config["host_groups"][0]["count"] = 2
    d.start()
    until(lambda: d.client.node(two) and d.client.get(f"/vm/{two}/health").status == 200, 30)
    assert d.vmm_pid(one) == first, "the survivor was not touched"


def test_a_killed_daemon_in_the_middle_of_launches(daemon):
    """Each is undone or finished, whatever the moment."""
    d = daemon()
    for pause in (0.0, 0.01, 0.03, 0.06, 0.1, 0.2):
        for _ in range(4):
            with d.client.raw() as raw:
                raw.head("POST", f"/hostgroup/{d.group}/nodes", Content_Length=0)
                time.sleep(pause / 4)
        d.kill()
        d.start()

        until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20, "no VM is in between")
        wait_for_truth(d, 20)
        for node in d.client.nodes():
            d.client.remove(node["hostname"])
    assert d.client.nodes() == []


def test_records_are_private_and_hold_no_token(daemon):
    d = daemon(tcp=True)
    vm = d.client.create(d.group, userdata="#!/bin/sh\n# secret word\n")["hostname"]
    pids = [d.pid, d.monitor_pid(vm), d.vmm_pid(vm)]  # from which on nothing is being written
    for path in [d.state_dir, *d.state_dir.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    for path in d.state_dir.rglob("*"):
        assert not path.is_file() or d.token.encode() not in path.read_bytes()
    for pid in [*pids, *descendants(d.pid)]:
        assert d.token not in " ".join(proc.cmdline(pid))


def test_a_broken_record_is_left_alone_and_said(daemon):
    d = daemon()
    broken = d.state_dir / "vms" / f"{d.group}-7"
    d.stop()
    broken.mkdir(parents=True)
    (broken / "record.json").write_text('{"version": 1, "hostname": ')
    d.start()
    assert (broken / "record.json").exists() and str(broken) in d.log_text()
    vm = d.client.create(d.group)["hostname"]
    assert vm != f"{d.group}-7"
    (broken / "record.json").unlink()
    broken.rmdir()


def test_a_stale_lock_or_socket_of_a_killed_daemon_is_no_obstacle(daemon):
    d = daemon()
    d.kill()
    assert os.path.exists(d.address)
    d.start()
    d.kill()
    d.start()


def test_it_takes_as_many_open_files_as_it_may(daemon):
    d = daemon(prefix=("prlimit", "--nofile=300:5000"))
    limits = open(f"/proc/{d.pid}/limits").read()
    assert re.search(r"^Max open files +5000 +5000 ", limits, re.M), limits


def test_nobody_removes_what_it_boots_from(daemon):
    d = daemon()
    held = {path for _, path in open_files(d.pid)}
    store = d.env["SLICER_STORE"]
    for kind in ("images/micro", "kernels/", "initramfs/"):
        path, = [p for p in held if p.startswith(f"{store}/{kind}")]
        fd = os.open(path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)


def test_daemon_says_where_it_listens_and_ends_with_0(daemon):
    d = daemon()
    assert d.address in d.log_text()
    assert d.stop() == 0


def test_up_failing_is_seen_by_the_library(daemon):
    d = daemon(start=False)
    d.config["nonsense"] = 1
    with pytest.raises(UpFailed) as failed:
        d.start()
    assert failed.value.returncode == 2
    d.process = None


def test_cli_round(fake, vm, tmp_path):
    """The verbs of the command line, each seen in the API or from outside."""
    cli, api = fake.cli, fake.client
    listed = json.loads(cli.ok("vm", "list", "--json"))
    assert [n["hostname"] for n in listed] == [n["hostname"] for n in api.nodes()]
    assert vm.encode() in cli.ok("vm", "list")
    made = json.loads(cli.ok("vm", "add", fake.group, "--wait", "--tag", "a=b", "--name", "box", "--rm", "--json"))
    name = made["hostname"]
    assert api.node(name)["tags"] == ["a=b", "name=box"] and api.node(name)["persistent"] is False
    assert re.search(rf"Launching: {name}  \d+[MG]iB  \d+ vCPU\n", fake.log_text())
    assert cli.ok("vm", "exec", "box", "--", "echo hi") == b"hi\n", "by its friendly name"
    assert json.loads(cli.ok("vm", "health", name, "--json"))["hostname"] == name
    cli.ok("vm", "ready", name)
    until(lambda: b"boots" in cli.ok("vm", "logs", name))
    vmm = fake.vmm_pid(name)
    done = cli("vm", "delete", "box", "other")
    assert done.returncode == 1 and f'"box" is of host group "{fake.group}", not "other"'.encode() in done.stderr, done.stderr
    assert alive(vmm)
    cli.ok("vm", "delete", "box", fake.group)
    assert not alive(vmm) and api.node(name) is None

    kept = json.loads(cli.ok("vm", "launch", fake.group, "--wait", "--json"))["hostname"]
    assert api.node(kept)["persistent"] is True
    cli.ok("vm", "shutdown", kept)
    assert api.node(kept)["status"] == "Stopped"
    cli.ok("vm", "delete", kept)
    for args, code in ((("vm", "delete", "nosuch-1"), 1), (("vm", "nosuch"), 2), (("nosuch",), 2),
                       (("vm", "exec"), 2), (("vm", "add", "nosuch"), 1), (("vm", "list", "--nosuch"), 2)):
        done = cli(*args)
        assert done.returncode == code and done.stderr and not done.stdout, args


def test_cli_without_a_daemon_says_so(fake, tmp_path):
    for url in (str(tmp_path / "none.sock"), "http://127.0.0.1:1"):
        done = fake.cli("vm", "list", env={"SLICER_URL": url}, cwd=tmp_path)
        assert done.returncode == 1 and b"slicer up" in done.stderr, done.stderr


def test_cli_help_everywhere(fake):
    words = subprocess.run([fake.slicer, "--help"], capture_output=True, text=True)
    assert words.returncode == 0 and "up" in words.stdout and not words.stderr
    for verb in (["new"], ["up"], ["vm"], ["vm", "list"], ["vm", "add"], ["vm", "launch"], ["vm", "delete"], ["vm", "exec"],
                 ["vm", "shell"], ["vm", "cp"], ["vm", "logs"], ["vm", "health"], ["vm", "ready"], ["vm", "shutdown"],
                 ["image"], ["image", "build"], ["image", "list"], ["image", "remove"]):
        done = subprocess.run([fake.slicer, *verb, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and "sage" in done.stdout and not done.stderr, verb
