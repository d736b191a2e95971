# SPDX-License-Identifier: MIT
"""The state that is shown is the truth within five seconds, whatever happens to a VM's processes; other VMs do not notice, what
can still be asked for works, and the message says what to do."""
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import time

import pytest
from slicertest import AGENT, alive, proc, run, until
from slicertest.daemon import LOG
from slicertest.truth import wait_for_truth

SOON = 5  # on a machine with nothing else to do: until() and this give a busy one what it needs
LATER = 20  # less than the 30 s after which a daemon looks by itself, or a session is given up


def statuses(d):
    return {n["hostname"]: n["status"] for n in d.client.nodes()}


@pytest.fixture(scope="module")
def well(fake):
    """A VM that nothing happens to."""
    return fake.create_whole()


@pytest.fixture
def victim(fake, well):
    """One that is kept when it ends, and well when the test begins."""
    made = fake.client.create(fake.group, persistent=True)["hostname"]
    yield made
    assert run(fake.client, well, "echo", "well").stdout == b"well\n"
    assert fake.client.node(well)["status"] == "Running"
    fake.client.remove(made)
    wait_for_truth(fake, SOON)


def pids(d, vm):
    return {"vmm": d.vmm_pid(vm), "monitor": d.monitor_pid(vm), "guest": d.agent_pids(vm)}


def send(signo, *targets):
    for target in targets:
        for pid in target if isinstance(target, list) else [target]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signo)


def health(d, vm):
    return d.client.get(f"/vm/{vm}/health", timeout=60)


def health_fails_soon(d, vm):
    begin = time.monotonic()
    answer = health(d, vm)
    assert answer.status == 500 and "agent" in answer.error and time.monotonic() - begin < LATER, answer


# What is done to it, and what is to be seen: the state, and words of last_error.
ENDS = {
    "VMM killed": (lambda p: send(signal.SIGKILL, p["vmm"]), "killed by SIGKILL"),
    "VMM aborts": (lambda p: send(signal.SIGABRT, p["vmm"]), "killed by SIGABRT"),
    "monitor killed": (lambda p: send(signal.SIGKILL, p["monitor"]), "monitor was killed"),
    "both killed": (lambda p: send(signal.SIGKILL, p["monitor"], p["vmm"]), "killed"),
    "VMM killed, stopped before": (lambda p: (send(signal.SIGSTOP, p["vmm"]), send(signal.SIGKILL, p["vmm"])), "killed by SIGKILL"),
    "monitor stopped, VMM killed": (lambda p: (send(signal.SIGSTOP, p["monitor"]), send(signal.SIGKILL, p["vmm"])),
                                    "its monitor does not say how"),
}


@pytest.mark.parametrize("what", ENDS)
def test_it_ends(fake, victim, what):
    do, words = ENDS[what]
    there = pids(fake, victim)
    do(there)
    until(lambda: fake.client.node(victim)["status"] in ("Stopping", "Stopped"), SOON)
    until(lambda: fake.client.node(victim)["status"] == "Stopped", 15)
    assert words in fake.client.node(victim)["last_error"]
    assert f"[{victim}]" in fake.log_text()
    assert not any(alive(p) for p in (there["vmm"], there["monitor"], *there["guest"]))
    # And it is as good as new.
    assert fake.client.post(f"/vm/{victim}/relaunch").status == 200
    assert run(fake.client, victim, "echo", "again").stdout == b"again\n"
    assert "last_error" not in fake.client.node(victim)


@contextlib.contextmanager
def standing_still(d, vm, who):
    there = pids(d, vm)
    still = [there[who]] + (there["guest"] if who == "vmm" else [])  # the guest of a VMM that is stopped does not run either
    send(signal.SIGSTOP, *still)
    try:
        yield there
    finally:
        send(signal.SIGCONT, *still)


def is_reached(d, vm):
    until(lambda: health(d, vm).status == 200, 15)
    assert run(d.client, vm, "echo", "again").stdout == b"again\n"


def test_a_monitor_that_was_slow(fake, victim):
    """Its VM is shown as ended before it says how; it is ended itself when it takes too long, but what it says by then is told."""
    there = pids(fake, victim)
    send(signal.SIGSTOP, there["monitor"])
    send(signal.SIGKILL, there["vmm"])
    until(lambda: "does not say how" in fake.client.node(victim).get("last_error", ""), SOON)
    send(signal.SIGCONT, there["monitor"])
    until(lambda: fake.client.node(victim)["status"] == "Stopped", 15)
    words = "killed by SIGKILL" if (fake.state_dir / "vms" / victim / "exit.json").exists() else "does not say how"
    assert words in fake.client.node(victim)["last_error"]


@pytest.mark.parametrize("who", ["vmm", "guest"])
def test_it_stands_still(fake, victim, who):
    """It is still there, and shown so; whether it answers is what /health tells. It can be deleted, or comes back."""
    with standing_still(fake, victim, who):
        health_fails_soon(fake, victim)
        assert fake.client.node(victim)["status"] == "Running"
    is_reached(fake, victim)
    with standing_still(fake, victim, who) as there:
        assert fake.client.delete(f"/hostgroup/{fake.group}/nodes/{victim}", timeout=60).status == 200
        assert fake.client.node(victim) is None and not any(alive(p) for p in (there["vmm"], there["monitor"]))
    assert fake.client.create(fake.group)["hostname"] == victim  # for the fixture to delete


def test_its_monitor_stands_still(fake, victim):
    """That is no matter for the VM, until it ends: then it is ended without it."""
    with standing_still(fake, victim, "monitor"):
        is_reached(fake, victim)
        assert fake.client.node(victim)["status"] == "Running"
        assert fake.client.post(f"/vm/{victim}/shutdown", timeout=90).status == 200
        assert fake.client.node(victim)["status"] == "Stopped"
    assert fake.client.post(f"/vm/{victim}/relaunch").status == 200
    with standing_still(fake, victim, "monitor") as there:
        assert fake.client.delete(f"/hostgroup/{fake.group}/nodes/{victim}", timeout=60).status == 200
        assert not any(alive(p) for p in (there["vmm"], there["monitor"]))
    assert fake.client.create(fake.group)["hostname"] == victim


def test_a_monitor_that_stands_still_is_told_of_once(daemon):
    d = daemon(env={"SLICER_RECONCILE_MS": "100"})
    vm, other, gone = (d.client.create(d.group, persistent=True)["hostname"] for _ in range(3))

    def said(name):
        return d.client.node(name).get("last_error", "")

    with standing_still(d, vm, "monitor") as there, standing_still(d, gone, "monitor"):
        until(lambda: "does not answer" in said(vm) and "does not answer" in said(gone), 30)
        assert f"kill -CONT {there['monitor']}" in said(vm) and not said(other)
        assert run(d.client, vm, "echo", "well").stdout == b"well\n"
        assert statuses(d) == dict.fromkeys((vm, other, gone), "Running")
        # A stopped VM has no monitor that could answer.
        assert d.client.post(f"/vm/{gone}/shutdown", timeout=90).status == 200
        assert d.client.node(gone)["status"] == "Stopped" and "does not answer" not in said(gone)
    until(lambda: not said(vm), 10, "it is well again")
    lines = [line for line in d.log_text().splitlines() if "its monitor" in line]
    for name, words, times in ((vm, "does not answer", 1), (vm, "answers again", 1), (gone, "does not answer", 1), (gone, "answers again", 0),
                               (other, "answer", 0)):
        assert sum(f"[{name}]" in line and words in line for line in lines) == times, (name, words, lines)
    assert d.client.post(f"/vm/{gone}/relaunch").status == 200
    wait_for_truth(d, SOON)


def test_a_new_daemon_thinks_the_same_of_those_that_stand_still(daemon):
    d = daemon()
    vms = dict(zip(("vmm", "guest", "monitor"), (d.client.create(d.group)["hostname"] for _ in range(3))))
    with contextlib.ExitStack() as stack:
        for who, vm in vms.items():
            stack.enter_context(standing_still(d, vm, who))
        d.kill()
        d.start()
        health_fails_soon(d, vms["vmm"])
        assert statuses(d) == dict.fromkeys(vms.values(), "Running")
        assert run(d.client, vms["monitor"], "echo", "well").stdout == b"well\n"
    for vm in vms.values():
        is_reached(d, vm)


def vm_that_may_loop(daemon, tmp_path):
    """A daemon, its VM, and the file: while that is there the guest resets before its agent begins."""
    agent, flag = tmp_path / "agent", tmp_path / "loops"
    agent.write_text(f"#!/bin/sh\n[ -e {flag} ] && exit 11\nexec {AGENT} \"$@\"\n")
    agent.chmod(0o755)
    d = daemon(env={"SLICER_FAKE_AGENT": str(agent)})
    return d, d.client.create(d.group, persistent=True)["hostname"], flag


def test_a_guest_that_reboots_in_a_loop(daemon, tmp_path):
    """Without ever getting as far as its agent. One that did is left to reboot."""
    d, vm, flag = vm_that_may_loop(daemon, tmp_path)
    flag.touch()
    vmm, agents = d.vmm_pid(vm), d.agent_pids(vm)
    send(signal.SIGKILL, agents)
    until(lambda: d.client.node(vm)["status"] == "Stopped", SOON)
    assert not alive(vmm)
    said = d.client.node(vm)["last_error"]
    assert "resets again and again" in said and f"slicer vm logs {vm}" in said
    flag.unlink()
    assert d.client.post(f"/vm/{vm}/relaunch").status == 200
    assert run(d.client, vm, "echo", "again").stdout == b"again\n"


def test_a_guest_whose_reboot_ends_in_a_loop(daemon, tmp_path):
    """What it announced was one."""
    d, vm, flag = vm_that_may_loop(daemon, tmp_path)
    supervisor, = (p for p in d.agent_pids(vm) if proc.name_of(p) != "slicer-server")
    send(signal.SIGSTOP, supervisor)  # its server takes leave, and it does not start another
    flag.touch()
    assert d.client.post(f"/vm/{vm}/reboot").status == 200
    until(lambda: f"[{vm}] the guest reboots" in d.log_text(), SOON)
    send(signal.SIGKILL, supervisor)
    until(lambda: d.client.node(vm)["status"] == "Stopped", SOON)
    assert "resets again and again" in d.client.node(vm)["last_error"]


def test_a_panic_of_an_earlier_run_is_not_of_this_one(daemon):
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    assert d.client.post(f"/vm/{vm}/shutdown", timeout=90).status == 200
    with open(LOG / f"{vm}.txt", "a") as log:
        log.write("Kernel panic - not syncing: long ago\n")
    assert d.client.post(f"/vm/{vm}/relaunch").status == 200
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"
    vmm = d.vmm_pid(vm)
    send(signal.SIGKILL, d.agent_pids(vm))
    until(lambda: d.log_text().count("is ready") == 3, 15)
    for _ in range(20):  # longer than the daemon waits for the console's last words
        assert run(d.client, vm, "echo", "again").stdout == b"again\n"
    assert alive(vmm) and "last_error" not in d.client.node(vm)


def test_a_panic_that_the_monitor_gets_to_late(fake, victim):
    with standing_still(fake, victim, "monitor") as there:
        with open(f"/proc/{there['guest'][0]}/fd/1", "wb", buffering=0) as console:
            console.write(b"x" * 40000 + b"\nKernel panic - not syncing: now\n")
        send(signal.SIGKILL, there["guest"])
        time.sleep(1)
    until(lambda: fake.client.node(victim)["status"] == "Stopped", 15)
    assert "panic - not syncing: now" in fake.client.node(victim)["last_error"]
    assert fake.client.post(f"/vm/{victim}/relaunch").status == 200


@contextlib.contextmanager
def read_only(path):
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_state_directory_that_became_read_only(daemon):
    d = daemon(env={"SLICER_RECONCILE_MS": "200"})
    vm, other = (d.client.create(d.group)["hostname"] for _ in range(2))
    with read_only(d.state_dir):
        answer = d.client.post(f"/hostgroup/{d.group}/nodes")
        assert answer.status == 500 and "Read-only" in answer.error, answer
        assert statuses(d) == {vm: "Running", other: "Running"}
        assert run(d.client, vm, "echo", "well").stdout == b"well\n"
        # It ends, though nothing can be written of that; what is left is listed, and told.
        answer = d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}")
        assert answer.status == 500 and "Read-only" in answer.error
        assert statuses(d) == {vm: "Stopped", other: "Running"}
        assert "Read-only" in d.client.node(vm)["last_error"]
        d.kill()
        code, said = d.fails()
        assert code == 1 and "ead-only" in said and str(d.state_dir) in said
    d.start()
    until(lambda: statuses(d) == {other: "Running"}, 10, "what could not be deleted is deleted")
    wait_for_truth(d, SOON)


def test_a_full_disk_under_what_is_done_to_a_vm(daemon, tmp_path):
    """Pausing, stopping and deleting need no room; what could not be recorded is said."""
    top = tmp_path / "small"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", top], check=True)
    try:
        d = daemon(start=False)
        shutil.rmtree(d.dir)
        (top / "d").mkdir()
        d.dir.symlink_to(top / "d")
        d.start()
        kept, gone = (d.client.create(d.group, persistent=p)["hostname"] for p in (True, False))
        with open(top / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"\0" * 4096)
        assert d.client.post(f"/vm/{gone}/pause").status == 200
        assert d.client.node(gone)["status"] == "Paused"
        assert "No space" in d.client.node(gone)["last_error"]
        assert d.client.delete(f"/hostgroup/{d.group}/nodes/{gone}").status == 200
        assert d.client.post(f"/vm/{kept}/shutdown").status == 200
        assert statuses(d) == {kept: "Stopped"}
        (top / "filler").unlink()
        d.kill()
        d.start()
        assert statuses(d) == {kept: "Stopped"}
        d.clean()
    finally:
        subprocess.run(["umount", "-l", top], check=True)


def test_records_are_never_half_written(daemon):
    """Whatever is at work when the daemon is killed: each record is whole, and private."""
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    for i in range(5):
        with d.client.raw() as raw:
            raw.head("POST", f"/vm/{vm}/{'pause' if i % 2 == 0 else 'resume'}", Content_Length=0)
            d.kill()
        assert d.record(vm)["hostname"] == vm
        assert stat.S_IMODE((d.state_dir / "vms" / vm / "record.json").stat().st_mode) == 0o600
        d.start()
        until(lambda: d.client.node(vm)["status"] in ("Running", "Paused"), SOON)
