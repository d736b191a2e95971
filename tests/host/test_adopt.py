# SPDX-License-Identifier: MIT
"""What a new daemon makes of what it finds."""
import json
import os
import shutil
import signal

from slicertest import until
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
    until(lambda: statuses(one) == {f"{one.group}-1": "Running", kept: "Stopped"}, 10, "services run, the kept is kept")
    wait_for_truth(one, 5)
    assert "exec" in one.client.post(f"/vm/{one.group}-1/exec", {"cmd": "echo", "args": "exec", "buffered": True}).text


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
    assert statuses(one) == {f"{one.group}-1": "Running"}
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
