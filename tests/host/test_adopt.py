# SPDX-License-Identifier: MIT
"""What a new daemon makes of what it finds."""
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from slicertest import AGENT, IMAGE, MONITOR, SLICER, alive, proc, until
from slicertest.daemon import LOG
from slicertest.truth import wait_for_truth


def statuses(one):
    return {n["hostname"]: n["status"] for n in one.client.nodes()}


def kill_all(one):
    """As a host that loses power."""
    one.kill()
    for record in one.records():
        if record.get("monitor_pid"):
            os.kill(record["monitor_pid"], signal.SIGKILL)


def test_everything_was_killed(daemon):
    one = daemon(group={"count": 1})
    until(lambda: statuses(one) == {f"{one.group}-1": "Running"}, 20, "the service runs")
    kept = one.client.create(one.group, persistent=True)["hostname"]
    one.client.create(one.group)
    kill_all(one)
    one.start()
    until(lambda: statuses(one) == {f"{one.group}-1": "Running", kept: "Stopped"}, 30, "services run, the kept is kept")
    wait_for_truth(one, 5)
    assert "exec" in one.client.post(f"/vm/{one.group}-1/exec", {"cmd": "echo", "args": "exec", "buffered": True}).text


def test_how_it_ended_while_nobody_looked_is_told(daemon):
    """Its monitor has left word of that."""
    one = daemon()
    kept, other = (one.client.create(one.group, persistent=p)["hostname"] for p in (True, False))
    pids = {vm: (one.vmm_pid(vm), one.monitor_pid(vm)) for vm in (kept, other)}
    one.kill()
    for vmm, monitor in pids.values():
        os.kill(vmm, signal.SIGKILL)
        until(lambda pid=monitor: not alive(pid), 20)
    one.start()
    until(lambda: statuses(one) == {kept: "Stopped"}, 20)
    assert one.client.node(kept)["last_error"] == "its VMM was killed by SIGKILL"
    said = one.client.get(f"/vm/{other}").json["error"]
    assert said == f'there is no VM "{other}" any more: it has ended: its VMM was killed by SIGKILL'
    one.kill()
    one.start()
    assert one.client.node(kept)["last_error"] == "its VMM was killed by SIGKILL", "it is in the record"


@contextlib.contextmanager
def guest_powers_off(one, vm):
    """As a shutdown asks it to, whatever is done meanwhile."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(one.client.request, "POST", f"/vm/{vm}/shutdown", timeout=90)
        yield
        assert asked.result().status == 200
    assert statuses(one) == {vm: "Stopped"} and b"powers off" in one.console(vm)


def test_a_vm_is_asked_to_power_off_whose_agent_a_new_daemon_has_not_reached_yet(daemon):
    one = daemon()
    vm = one.client.create(one.group, persistent=True)["hostname"]
    assert one.client.post(f"/vm/{vm}/exec", {"cmd": "true", "buffered": True}).status == 200
    one.kill()
    guest = one.agent_pids(vm)
    for pid in guest:
        os.kill(pid, signal.SIGSTOP)  # so that it is certainly not reached
    one.start()
    with guest_powers_off(one, vm):
        until(lambda: statuses(one) != {vm: "Running"}, 10)
        for pid in guest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_vm_is_asked_again_whose_agent_dies_over_it(daemon):
    one = daemon()
    vm = one.client.create(one.group, persistent=True)["hostname"]
    assert one.client.post(f"/vm/{vm}/exec", {"cmd": "true", "buffered": True}).status == 200
    server = one.agent_server(vm)
    os.kill(server, signal.SIGSTOP)
    with guest_powers_off(one, vm):
        until(lambda: statuses(one) == {vm: "Stopping"} and one.record(vm).get("operation"), 10)
        os.kill(server, signal.SIGKILL)


def test_the_users_of_a_vm_whose_record_is_not_ours_to_use(daemon):
    """Nobody else runs as them: it may run, as one of a newer version does. The first of the daemon's is what this disk's owner is."""
    one = daemon()
    kept = one.client.create(one.group, persistent=True)["hostname"]
    assert one.client.post(f"/vm/{kept}/shutdown").status == 200 and one.record(kept)["uid_slot"] == 0
    one.kill()
    state = one.state_dir / "vms" / kept
    first = next(int(block.name) for block in (one.run_dir.parent / ".uids").iterdir() if block.read_text() == one.id)
    (state / "disk.qcow2").touch()
    os.chown(state / "disk.qcow2", first, first)
    (state / "record.json").write_text(json.dumps({**json.loads((state / "record.json").read_text()), "version": 99}))
    one.start()
    assert statuses(one) == {}
    made = one.client.create(one.group)["hostname"]
    assert one.record(made)["uid_slot"] == 1
    one.client.remove(made)
    shutil.rmtree(state)
    (LOG / f"{kept}.txt").unlink()


def test_records_that_are_not_ours_to_use(daemon):
    """A newer slicer's, a copy, a torn one: nothing of them is touched, nor are their names given away."""
    one = daemon(group={"count": 1})
    vms = one.state_dir / "vms"
    until(lambda: statuses(one) == {f"{one.group}-1": "Running"}, 20, "the service runs")
    one.kill()
    record = json.loads((vms / f"{one.group}-1" / "record.json").read_text())
    strange = {f"{one.group}-2": json.dumps({**record, "version": 99, "hostname": f"{one.group}-2", "number": 2}),
               f"{one.group}-3": json.dumps(record), f"{one.group}-4": json.dumps(record)[:200]}
    for name, text in strange.items():
        (vms / name).mkdir()
        (vms / name / "record.json").write_text(text)
        (vms / name / "disk.qcow2").write_text("precious")
    one.start()
    until(lambda: statuses(one) == {f"{one.group}-1": "Running"}, 30, "only the service is there")
    assert one.client.create(one.group)["hostname"] == f"{one.group}-5"
    for name, text in strange.items():
        assert f"{name}/record.json" in one.log_text()
        assert (vms / name / "record.json").read_text() == text
        assert (vms / name / "disk.qcow2").read_text() == "precious"
        shutil.rmtree(vms / name)


def test_paused_across_daemons(daemon):
    one = daemon()
    vm = one.client.create(one.group)["hostname"]
    assert one.client.post(f"/vm/{vm}/pause").status == 200
    one.kill()
    one.start()
    assert statuses(one) == {vm: "Paused"}
    answer = one.client.post(f"/vm/{vm}/exec", {"cmd": "true"})
    assert answer.status == 409 and "resume" in answer.error
    assert one.client.post(f"/vm/{vm}/resume").status == 200
    assert one.client.post(f"/vm/{vm}/exec", {"cmd": "echo", "args": "back", "buffered": True}).json["stdout"] == "back\n"


def test_what_follows_a_pause_is_not_refused(daemon):
    one = daemon()
    vm = one.client.create(one.group, persistent=True)["hostname"]
    for verb in ("pause", "resume", "pause", "resume", "pause", "shutdown", "relaunch", "shutdown"):
        answer = one.client.post(f"/vm/{vm}/{verb}")
        assert answer.status == 200, (verb, answer)


# --- many, upgrades, reboots of the host

def exec_works(one, vm):
    try:
        answer = one.client.post(f"/vm/{vm}/exec", {"cmd": "echo", "args": vm, "buffered": True}, timeout=60)
    except OSError:
        return False
    return answer.status == 200 and answer.json["stdout"] == vm + "\n"


def upgraded(one, tmp_path):
    """The same programs at another path, as a new version is installed; the monitors that run are of the old one."""
    new = tmp_path / "new"
    new.mkdir()
    for program in (SLICER, MONITOR, AGENT, IMAGE):
        shutil.copy(program, new)
    one.slicer = one.cli.slicer = new / SLICER.name
    one.env["SLICER_LIBEXECDIR"] = str(new)


@pytest.mark.parametrize("upgrade", [False, True])
def test_ten_are_taken_over(daemon, tmp_path, upgrade):
    """The figures are printed (pytest -s); what is required is that all are there and go on."""
    one = daemon(group={"count": 4})
    vms = [f"{one.group}-{n}" for n in range(1, 5)] + [one.client.create(one.group, persistent=n > 2)["hostname"] for n in range(6)]
    until(lambda: statuses(one) == dict.fromkeys(vms, "Running"), 30)
    before = {vm: (one.vmm_pid(vm), one.monitor_pid(vm)) for vm in vms}
    one.kill()
    if upgrade:
        upgraded(one, tmp_path)
    start = time.monotonic()
    one.spawn()
    until(lambda: exec_works(one, vms[0]), 60, "the first exec", pause=0.001)
    first = time.monotonic() - start
    with concurrent.futures.ThreadPoolExecutor(len(vms)) as pool:
        assert all(pool.map(lambda vm: exec_works(one, vm), vms))
    print(f"from exec of the daemon to the first exec reply {first * 1000:.0f} ms, to the last of ten "
          f"{(time.monotonic() - start) * 1000:.0f} ms")
    assert statuses(one) == dict.fromkeys(vms, "Running")
    assert {vm: (one.vmm_pid(vm), one.monitor_pid(vm)) for vm in vms} == before

    # Console logs and exit records go on, and new VMs are the new version's.
    with open(f"/proc/{one.agent_pids(vms[5])[0]}/fd/1", "wb", buffering=0) as console:
        console.write(b"still here\n")
    until(lambda: b"still here" in one.console(vms[5]), 5)
    os.kill(before[vms[9]][0], signal.SIGKILL)
    until(lambda: statuses(one)[vms[9]] == "Stopped", 5)
    assert "SIGKILL" in one.client.node(vms[9])["last_error"]
    assert json.loads((one.state_dir / "vms" / vms[9] / "exit.json").read_text())["signal"] == "SIGKILL"
    new = one.client.create(one.group)["hostname"]
    program = os.readlink(f"/proc/{one.monitor_pid(new)}/exe")
    assert program == str(tmp_path / "new" / MONITOR.name if upgrade else MONITOR)
    assert exec_works(one, new)


def host_reboots(one, space, innocent):
    """What a daemon finds after the host went down without a word and came up: nothing runs, /run is empty, links are gone, the
    pids of its records are other processes', or nobody's."""
    kill_all(one)
    until(lambda: not any(alive(r["vmm_pid"]) for r in one.records() if r.get("vmm_pid")), 10)
    shutil.rmtree(one.run_dir)
    space.run("ip", "link", "del", "bradp0")
    space.run("nft", "flush", "ruleset")
    for path in (one.state_dir / "vms").glob("*/record.json"):
        record = json.loads(path.read_text())
        if "processes" in record:
            record["processes"] = {"boot_id": "11111111-2222-3333-4444-555555555555",
                                   **{f"{what}_pid": innocent.pid for what in ("monitor", "vmm")},
                                   **{f"{what}_start": proc.start_time(innocent.pid) for what in ("monitor", "vmm")}}
            path.write_text(json.dumps(record))


def test_the_host_rebooted(space, daemon):
    one = daemon(prefix=space.prefix, group={"count": 2, "network": {"bridge": "bradp0", "tap_prefix": "adptap", "gateway": "10.76.1.1/24"}})
    services = {f"{one.group}-{n}": "Running" for n in (1, 2)}
    until(lambda: statuses(one) == services, 30)
    kept, off, paused, gone = (one.client.create(one.group, persistent=p)["hostname"] for p in (True, True, True, False))
    assert one.client.post(f"/vm/{off}/shutdown").status == 200
    assert one.client.post(f"/vm/{paused}/pause").status == 200
    ips = {n["hostname"]: n["ip"] for n in one.client.nodes()}
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        host_reboots(one, space, innocent)
        one.start()
        # As the rules say: services come up again, what is persistent waits for its owner, what is not is gone.
        until(lambda: statuses(one) == {**services, kept: "Stopped", off: "Stopped", paused: "Stopped"}, 20)
        for vm in services:
            until(lambda: exec_works(one, vm), 20)
        assert one.client.post(f"/vm/{kept}/relaunch").status == 200
        assert one.client.create(one.group)["ip"] != ips[kept] + "/24"
        assert exec_works(one, kept) and one.client.node(kept)["ip"] == ips[kept]
        assert innocent.poll() is None
        innocent.kill()
    wait_for_truth(one, 10)
