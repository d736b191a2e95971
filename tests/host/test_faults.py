# SPDX-License-Identifier: MIT
"""Every step of every operation fails once, and has the daemon killed once behind it. The steps are read from the source, so
that a new one is tested without being named here; a fault point that is not reached fails its test."""
import http.client
import re

import pytest
from slicertest import SOURCE, until
from slicertest.truth import wait_for_truth

TABLE = re.compile(r"static const struct op_step (\w+)_steps\[\] = \{\n(.*?)\n\};", re.S)


def tables():
    found = {}
    for path in sorted((SOURCE / "src/vm").glob("*.c")):
        for name, body in TABLE.findall(path.read_text()):
            found[name] = re.findall(r'\.name = "(\w+)"', body)
    found["settle"] = ["commit"]  # the last step of stop, alone
    return found


STEPS = tables()


def points(table):
    return [f"{table}.{step}" for step in STEPS[table]]


def test_all_tables_are_tested():
    assert set(STEPS) == {"launch", "stop", "delete", "settle"}
    assert all(STEPS.values())


def start(daemon, fault, **kwargs):
    return daemon(env={"SLICER_FAULT": fault}, **kwargs)


def restart(one, fault=None):
    """A daemon without the fault, whatever became of the one before."""
    if one.process.poll() is None:
        one.kill()
    one.env.pop("SLICER_FAULT", None)
    if fault:
        one.env["SLICER_FAULT"] = fault
    return one.start()


def assert_true(one):
    wait_for_truth(one, 10)


def statuses(one):
    return {n["hostname"]: n["status"] for n in one.client.nodes()}


def ask(one, method, path, **kwargs):
    """The status; None when the daemon was killed in it."""
    try:
        return one.client.request(method, path, timeout=60, **kwargs).status
    except (OSError, http.client.HTTPException):
        return None


def create(one, **body):
    return ask(one, "POST", f"/hostgroup/{one.group}/nodes", json=body)


def assert_hit(one, fault, killed):
    assert f"fault injected at {fault}" in one.log_text(), "the fault point was not reached"
    if killed:
        until(lambda: one.process.poll() is not None, 10, "the daemon is killed")


def stopped_vm(daemon):
    one = daemon()
    vm = one.client.create(one.group, persistent=True)["hostname"]
    assert ask(one, "POST", f"/vm/{vm}/shutdown") == 200
    assert statuses(one) == {vm: "Stopped"}
    return one, vm


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("point", points("launch"))
def test_launch_fails(daemon, point, persistent):
    one = start(daemon, f"{point}:fail")
    assert create(one, persistent=persistent) == 500
    assert_hit(one, f"{point}:fail", False)
    assert statuses(one) == {}
    assert_true(one)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("point", points("launch"))
def test_killed_in_launch(daemon, point, persistent):
    one = start(daemon, f"{point}:kill")
    assert create(one, persistent=persistent) is None
    assert_hit(one, f"{point}:kill", True)
    restart(one)
    # What was not committed is undone, unless its owner wants it kept; nobody has been told of it yet.
    kept = persistent or point.endswith(".commit")
    until(lambda: statuses(one) == ({f"{one.group}-1": "Running"} if kept else {}), 20, "what is kept runs")
    assert_true(one)


@pytest.mark.parametrize("point", points("launch"))
def test_relaunch_fails(daemon, point):
    one, vm = stopped_vm(daemon)
    restart(one, f"{point}:fail")
    assert ask(one, "POST", f"/vm/{vm}/relaunch") == 500
    assert_hit(one, f"{point}:fail", False)
    until(lambda: statuses(one) == {vm: "Stopped"}, 10, "it is Stopped again")
    assert "fault injected" in one.client.node(vm)["last_error"]
    assert_true(one)
    restart(one)
    assert ask(one, "POST", f"/vm/{vm}/relaunch") == 200
    assert "last_error" not in one.client.node(vm)
    assert_true(one)


@pytest.mark.parametrize("point", points("launch"))
def test_killed_in_relaunch(daemon, point):
    one, vm = stopped_vm(daemon)
    restart(one, f"{point}:kill")
    assert ask(one, "POST", f"/vm/{vm}/relaunch") is None
    assert_hit(one, f"{point}:kill", True)
    restart(one)
    until(lambda: statuses(one) == {vm: "Running"}, 20, "it runs")
    assert_true(one)


@pytest.mark.parametrize("point", points("stop"))
def test_stop_fails(daemon, point):
    one = start(daemon, f"{point}:fail")
    vm = one.client.create(one.group, persistent=True)["hostname"]
    # Where the guest powered off before the step failed, it has stopped; what else failed is in last_error.
    answer = ask(one, "POST", f"/vm/{vm}/shutdown")
    assert (answer, statuses(one)) in ((500, {vm: "Running"}), (200, {vm: "Stopped"}))
    assert "fault injected" in one.client.node(vm)["last_error"]
    assert_hit(one, f"{point}:fail", False)
    if answer == 500:
        until(lambda: "operation" not in one.record(vm), 10, "the next daemon does not stop what runs on")
    # Nor does it keep a daemon from ending; the next one finds what is there.
    assert one.stop() == 0
    one.env.pop("SLICER_FAULT")
    one.start()
    assert set(statuses(one)) == {vm}
    assert_true(one)


@pytest.mark.parametrize("point", points("stop"))
def test_killed_in_stop(daemon, point):
    one = start(daemon, f"{point}:kill")
    vm = one.client.create(one.group, persistent=True)["hostname"]
    assert ask(one, "POST", f"/vm/{vm}/shutdown") is None
    assert_hit(one, f"{point}:kill", True)
    restart(one)
    # Whatever the guest has heard by then: it may be on its way down.
    until(lambda: statuses(one) == {vm: "Stopped"}, 10, "it is Stopped")
    assert_true(one)


@pytest.mark.parametrize("point", points("stop"))
def test_killed_in_the_stop_of_one_that_is_not_kept(daemon, point):
    """It vanishes when it stops: the next daemon does not leave it as Stopped because this one got no further."""
    one = start(daemon, f"{point}:kill")
    vm = one.client.create(one.group)["hostname"]
    assert ask(one, "POST", f"/vm/{vm}/shutdown") is None
    assert_hit(one, f"{point}:kill", True)
    restart(one)
    until(lambda: statuses(one) == {}, 10, "it is gone")
    assert_true(one)


@pytest.mark.parametrize("point", points("delete"))
def test_delete_fails(daemon, point):
    one = start(daemon, f"{point}:fail")
    vm = one.client.create(one.group)["hostname"]
    assert ask(one, "DELETE", f"/hostgroup/{one.group}/nodes/{vm}") == 500
    assert_hit(one, f"{point}:fail", False)
    assert set(statuses(one)) == {vm}, "what could not be deleted is still listed"
    assert one.stop() == 0
    one.env.pop("SLICER_FAULT")
    one.start()
    if statuses(one):
        ask(one, "DELETE", f"/hostgroup/{one.group}/nodes/{vm}")
    assert statuses(one) == {}
    assert_true(one)


@pytest.mark.parametrize("point", points("delete"))
def test_killed_in_delete(daemon, point):
    one = start(daemon, f"{point}:kill")
    vm = one.client.create(one.group, persistent=True)["hostname"]
    assert ask(one, "DELETE", f"/hostgroup/{one.group}/nodes/{vm}") is None
    assert_hit(one, f"{point}:kill", True)
    restart(one)
    if point == "delete.detach":
        # Nothing was written yet, so it never happened.
        assert statuses(one) == {vm: "Running"}
    else:
        until(lambda: statuses(one) == {}, 10, "it is gone")
    assert_true(one)


@pytest.mark.parametrize("how", ["fail", "kill"])
@pytest.mark.parametrize("point", points("settle"))
def test_pause(daemon, point, how):
    one = start(daemon, f"{point}:{how}")
    vm = one.client.create(one.group)["hostname"]
    assert ask(one, "POST", f"/vm/{vm}/pause") == (None if how == "kill" else 200)
    assert_hit(one, f"{point}:{how}", how == "kill")
    restart(one)
    until(lambda: statuses(one) == {vm: "Paused"}, 10, "it is still paused")
    assert ask(one, "POST", f"/vm/{vm}/resume") == 200
    assert_true(one)


@pytest.mark.parametrize("point", points("stop") + points("delete"))
def test_services_come_back(daemon, point):
    """A daemon is killed while it ends its services; the next one starts them all."""
    persistent = point.startswith("stop.")
    one = start(daemon, f"{point}:kill", group={"count": 2, "persistent": persistent})
    names = {f"{one.group}-{n}": "Running" for n in (1, 2)}
    until(lambda: statuses(one) == names, 20, "the services run")
    one.process.terminate()
    assert one.process.wait(90) == -9
    assert f"fault injected at {point}" in one.log_text()
    restart(one)
    until(lambda: statuses(one) == names, 20, "the services run again")
    assert_true(one)
    # Above the count they are protected no more.
    one.config["host_groups"][0]["count"] = 1
    restart(one)
    second = f"/hostgroup/{one.group}/nodes/{one.group}-2"
    assert ask(one, "DELETE", second) == 200
    assert ask(one, "DELETE", second[:-1] + "1") == 403
    one.config["host_groups"][0]["count"] = 0
    restart(one)
    assert ask(one, "DELETE", second[:-1] + "1") == 200
