# SPDX-License-Identifier: MIT
"""slicer reload and POST /reload: what was added to a configuration is taken over by the daemon that runs; and what SIGHUP is to a
daemon with a terminal, and to one without."""
import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import threading
import time

import pytest
from slicertest import SLICER, until
from slicertest.daemon import LOG
from slicertest.http import Client

NAMES = tuple(f"slot{n}" for n in range(1, 10))


def slots(d, *names):
    group = d.config["host_groups"][0]
    for key in ("network", "count", "vcpu", "ram_mb"):
        group.pop(key, None)
    group["slots"] = {name: {} for name in names}
    d.write_config()
    return d


def status(d):
    return {n["hostname"]: n["status"] for n in d.client.nodes()}


def reload(d, *words, cwd="/", **env):
    return subprocess.run([SLICER, "reload", *words], cwd=cwd, env={**d.env, **env}, capture_output=True, text=True, timeout=60)


@pytest.fixture
def logs():
    """A slot's log has its name only, and is kept when it stops: this removes it, after the daemon's end."""
    yield
    for name in NAMES:
        (LOG / f"{name}.txt").unlink(missing_ok=True)


@pytest.fixture
def slotted(logs, daemon):
    return lambda **kwargs: slots(daemon(start=False, **kwargs), "slot1").start()


def test_by_file(slotted):
    """From any directory, by what the daemon left in /run; and by slicer.yaml where one is."""
    d = slotted()
    done = reload(d, d.file)
    assert (done.returncode, done.stdout) == (0, "Nothing was added\n"), done.stderr
    slots(d, "slot1", "slot2", "slot6")
    done = reload(d, d.file)
    assert (done.returncode, done.stdout) == (0, "slot2: added\nslot6: added\n"), done.stderr
    assert set(status(d)) == {"slot1", "slot2", "slot6"}
    slots(d, "slot1", "slot2", "slot6", "slot7")
    done = reload(d, "--json", cwd=d.dir)
    assert done.returncode == 0 and json.loads(done.stdout) == {"added": ["slot7"]}
    until(lambda: set(status(d).values()) == {"Running"}, 30)


def test_refused(slotted):
    d = slotted()
    until(lambda: d.client.get("/vm/slot1").json["agent_ready"], 30)
    before = d.client.get("/vm/slot1").json
    d.config["graceful_shutdown"] = False
    slots(d, "slot1", "slot2")
    done = reload(d, d.file)
    assert done.returncode == 1 and done.stdout == "" and "something besides the host groups has changed" in done.stderr
    done = reload(d, d.file, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["added"] == [] and "restart it" in said["error"]
    d.config.pop("graceful_shutdown")
    slots(d, "slot1", "nine")
    done = reload(d, d.file)
    assert done.returncode == 1 and "does not end in a number" in done.stderr
    answer = d.client.request("POST", "/reload")
    assert answer.status == 400 and "does not end in a number" in answer.json["error"]
    slots(d, "slot2")
    assert "slot slot1 is gone" in reload(d, d.file).stderr
    slots(d, "slot1")
    assert set(status(d)) == {"slot1"} and d.client.get("/vm/slot1").json == before


def ip(*lines):
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def links():
    listed = subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout
    return {link["ifname"]: link.get("ifalias") for link in json.loads(listed)}


TAKEN = {  # what is there, and what is said of it
    "subnet": (["link add foreign type bridge", "addr add 10.6.0.9/24 dev foreign"], "link del foreign",
               'slot "slot6": the subnet of its gateway 10.6.0.1/24 overlaps the address 10.6.0.9/24 of foreign'),
    "wider": (["link add foreign type bridge", "addr add 10.6.3.9/22 dev foreign"], "link del foreign",
              'slot "slot6": the subnet of its gateway 10.6.0.1/24 overlaps the address 10.6.3.9/22 of foreign'),
    "bridge": (["link add br-slot6 type bridge"], "link del br-slot6",
               'slot "slot6": there is an interface br-slot6, a bridge that slicer did not make. Remove that interface'),
}


def test_a_slot_that_had_left_and_comes_back(slotted):
    """Its VM went on without it, and is its own again."""
    d = slotted()
    slots(d, "slot1", "slot2")
    assert reload(d, d.file).returncode == 0
    until(lambda: status(d) == {"slot1": "Running", "slot2": "Running"}, 30)
    vmm = d.vmm_pid("slot2")
    d.kill()
    slots(d, "slot1").start()
    until(lambda: status(d) == {"slot1": "Running", "slot2": "Running"}, 30)
    assert not d.client.get("/vm/slot2").json["protected"]
    slots(d, "slot1", "slot2")
    assert reload(d, d.file).stdout == "slot2: added\n"
    assert d.client.get("/vm/slot2").json["protected"] and d.vmm_pid("slot2") == vmm
    assert "added through the API" not in d.log_text()


@pytest.mark.parametrize("case", TAKEN)
def test_networks_that_cannot_be_made(slotted, case):
    """A slot whose place is taken: neither it nor the ones beside it are there afterwards, and those that were are as they were."""
    there, gone, words = TAKEN[case]
    d = slotted()
    until(lambda: d.client.get("/vm/slot1").json["agent_ready"], 30)
    pid, shown = d.vmm_pid("slot1"), d.client.get("/vm/slot1").json
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    ip(*there)
    try:
        before = links()
        slots(d, "slot1", "slot2", "slot6")
        done = reload(d, d.file)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert links() == before and "br-slot1" in before and "br-slot2" not in before
        assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout == rules
        assert set(status(d)) == {"slot1"} and d.vmm_pid("slot1") == pid and d.client.get("/vm/slot1").json == shown
    finally:
        ip(gone)
    done = reload(d, d.file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "slot2: added\nslot6: added\n", "")


def test_a_firewall_that_keeps_a_new_slot(slotted):
    """What only the user can mend is said to who asked and in the log, of the new slots only."""
    d = slotted()
    subprocess.run(["nft", "table inet mine { chain gate { type filter hook forward priority 0; policy drop; }; }"], check=True)
    try:
        slots(d, "slot1", "slot2")
        done = reload(d, d.file)
        assert (done.returncode, done.stdout) == (0, "slot2: added\n")
        assert "nft insert rule inet mine gate iifname br-slot2 accept" in done.stderr and "br-slot1" not in done.stderr
        assert done.stderr.strip() in d.log_text()
        slots(d, "slot1", "slot2", "slot6")
        said = json.loads(reload(d, d.file, "--json").stdout)
        assert said["added"] == ["slot6"] and len(said["notes"]) == 1 and "VMs on br-slot6" in said["notes"][0]
    finally:
        subprocess.run(["nft", "delete table inet mine"], check=True)


@contextlib.contextmanager
def taking_turns(d):
    """Whoever changes the network waits for its lock: with this one in between, all get their turn."""
    stop = threading.Event()

    def take():
        with open(f"/proc/{d.pid}/ns/net", "rb") as namespace:
            while not stop.is_set():
                fcntl.flock(namespace, fcntl.LOCK_EX)
                time.sleep(0.05)
                fcntl.flock(namespace, fcntl.LOCK_UN)
                time.sleep(0.002)
    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_amid_looks_at_what_exists(slotted):
    """Which remove bridges that are of use to nobody: not those that are being made."""
    d = slotted(env={"SLICER_RECONCILE_MS": "100"})
    slots(d, *NAMES)
    with taking_turns(d):
        done = reload(d, d.file)
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: set(status(d).values()) == {"Running"}, 60)
    assert "is of no group" not in d.log_text() and "in use by" not in d.log_text()
    assert {f"br-{name}" for name in NAMES} <= set(links())


def test_which_daemon(slotted, tmp_path):
    d = slotted()
    other = tmp_path / "other.yaml"
    other.write_text(d.file.read_text())
    done = reload(d, other)
    assert done.returncode == 1 and "no daemon of this user runs" in done.stderr
    done = reload(d, other, "--url", d.address)
    assert done.returncode == 1 and f"the daemon here is of {d.file.resolve()}" in done.stderr
    assert reload(d, cwd=str(tmp_path), SLICER_URL=d.address).stdout == "Nothing was added\n"
    assert reload(d, tmp_path / "none.yaml").returncode == 1


def test_with_a_token(slotted):
    """One that is in the file is known to whoever may read the file; the API wants it."""
    d = slotted(tcp=True)
    assert reload(d, d.file).stdout == "Nothing was added\n"
    assert Client(d.address).request("POST", "/reload").status == 401
    done = reload(d, d.file, "--token", "wrong")
    assert done.returncode == 1 and "token" in done.stderr


def test_without_an_api(daemon):
    d = daemon(start=False)
    d.config["api"] = {"enabled": False}
    d.spawn()
    until(lambda: (d.run_dir.parent / f"{d.id}.json").exists(), 20)
    done = reload(d, d.file)
    assert done.returncode == 1 and "SIGHUP" in done.stderr
    d.stop()


class InTerminal:
    """A daemon whose terminal is this object's."""

    def __init__(self, d, *prefix):
        self.daemon = d
        self.master, slave = pty.openpty()
        d.write_config()
        # The tests themselves may have been started by nohup.
        d.process = subprocess.Popen(["setsid", "-c", "env", "--default-signal=HUP", *prefix, str(SLICER), "up", str(d.file)],
                                     cwd=d.dir, env=d.env, stdin=slave, stdout=open(d.log, "ab"), stderr=subprocess.STDOUT)
        os.close(slave)
        until(self.answers, 60)

    def answers(self):
        with contextlib.suppress(OSError):  # not yet
            return self.daemon.client.get("/healthz").status == 200

    def close(self):
        os.close(self.master)


def test_the_terminal_goes(daemon):
    d = daemon(start=False, group={"count": 1})
    InTerminal(d).close()
    assert d.process.wait(60) == 0 and "Stopping" in d.log_text() and "at once" not in d.log_text().replace("once more: at once", "")
    d.process = None


def test_nohup(daemon):
    """Who is to go on does: no SIGHUP ends it, and it still reloads on one."""
    d = daemon(start=False)
    InTerminal(d, "nohup").close()
    until(lambda: "nothing was added" in d.log_text(), 20)
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.log_text().count("nothing was added") == 2, 20)
    assert d.client.get("/healthz").status == 200
