# SPDX-License-Identifier: MIT
"""Slots: a bridge, a subnet and a VM each, by a daemon with the real agent behind a fake hypervisor; and with real packets
(slicertest/netspace.py)."""
import json
import re
import shlex
import shutil
import signal
import subprocess

import pytest
import yaml
from slicertest import SLICER, alive, until
from slicertest.daemon import LOG
from slicertest.netspace import INTERNET

ONE, SIX = {"slot1": {}, "slot2": {}}, {"slot1": {}, "slot2": {}, "slot6": {}}


def sh(*words, check=True, env=None):
    return subprocess.run(words, check=check, capture_output=True, text=True, env=env).stdout


def addresses():
    return {link["ifname"]: [a["local"] for a in link["addr_info"]] for link in json.loads(sh("ip", "-4", "-j", "addr"))}


def slots(d, names):
    group = d.config["host_groups"][0]
    for key in ("network", "count", "vcpu", "ram_mb"):
        group.pop(key, None)
    group["slots"] = names
    return d


def looks(d, n=4):
    """Waits until it has looked again: something that is certainly removed is put there each time."""
    for _ in range(n):
        stray = d.run_dir / "slot1-999"
        stray.mkdir()
        until(lambda: not stray.exists(), 10, "a look")


@pytest.fixture
def logs():
    """A slot's log has its name only, and what is kept when it stops: this removes it."""
    yield
    for name in SIX:
        (LOG / f"{name}.txt").unlink(missing_ok=True)


@pytest.fixture
def slotted(logs, daemon):
    return slots(daemon(start=False), ONE).start()


def test_what_a_slot_is(slotted):
    d = slotted
    nodes = {n["hostname"]: n for n in d.client.nodes()}
    assert {name: n["ip"] for name, n in nodes.items()} == {"slot1": "10.1.0.2", "slot2": "10.2.0.2"}
    assert nodes["slot1"]["cpus"] == 1 and nodes["slot1"]["ram_bytes"] == 1 << 30
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)
    found = addresses()
    assert found["br-slot1"] == ["10.1.0.1"] and found["br-slot2"] == ["10.2.0.1"]
    assert d.client.get("/vm/slot1").json["network"]["mode"] == "slots"
    # Protected; and nobody makes more of them but by the configuration.
    refused = d.client.request("DELETE", f"/hostgroup/{d.group}/nodes/slot1")
    assert refused.status == 403 and "slots:" in refused.text
    refused = d.client.request("POST", f"/hostgroup/{d.group}/nodes", json={})
    assert refused.status == 403 and "add a slot to the configuration" in refused.text
    # Stop and start by name; the other is none the wiser.
    assert d.client.request("POST", "/vm/slot1/shutdown").status == 200
    assert {n["hostname"]: n["status"] for n in d.client.nodes()} == {"slot1": "Stopped", "slot2": "Running"}
    assert d.client.request("POST", "/vm/slot1/relaunch").status == 200
    assert d.client.node("slot1")["ip"] == "10.1.0.2"


def test_a_stopped_slots_bridge_comes_back(logs, daemon):
    """In the next look at what exists, long before the one that compares everything, which is every tenth."""
    d = slots(daemon(start=False, env={"SLICER_RECONCILE_MS": "3000"}), ONE).start()
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)
    assert d.client.request("POST", "/vm/slot2/shutdown").status == 200
    sh("ip", "link", "del", "br-slot2")
    until(lambda: addresses().get("br-slot2") == ["10.2.0.1"], 25)
    assert d.client.request("POST", "/vm/slot2/relaunch").status == 200
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)


def test_a_killed_daemon_and_changed_slots(slotted):
    d = slotted
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)
    pid = d.vmm_pid("slot1")
    d.vmm_pid("slot2")
    d.kill()
    slots(d, {"slot1": {}, "slot6": {}})
    d.file.write_text(yaml.safe_dump({"config": d.config}))
    d.env["SLICER_RECONCILE_MS"] = "100"
    d.start()
    until(lambda: {n["hostname"]: n["status"] for n in d.client.nodes()} ==
          {"slot1": "Running", "slot2": "Running", "slot6": "Running"}, 20, "one more line, and nothing else is touched")
    assert d.vmm_pid("slot1") == pid and addresses()["br-slot6"] == ["10.6.0.1"]
    assert "[slot2] is not a slot any more" in d.log_text()
    looks(d)
    assert "br-slot2" in addresses(), "its VM is on it"
    assert d.client.request("DELETE", f"/hostgroup/{d.group}/nodes/slot2").status == 200
    until(lambda: "br-slot2" not in addresses(), 20, "its bridge goes once nobody is on it")
    until(lambda: not {"br-slot2", "10.2.0.0/24"} & set(re.findall(r"[\w./-]+", sh("nft", "list", "ruleset"))), 5, "so do its rules")
    assert addresses()["br-slot1"] == ["10.1.0.1"] and d.client.node("slot1")["status"] == "Running"


def test_routes(slotted):
    """By a command; and by the daemon when it begins, line by line."""
    said = subprocess.run([SLICER, "vm", "route", slotted.file], env=slotted.env, check=True, capture_output=True, text=True).stdout
    for text in (said, slotted.log_text()):
        assert "ip route add 10.1.0.0/24 via" in text and "ip route add 10.2.0.0/24 via" in text
        assert "tailscale up --advertise-routes=10.1.0.0/24,10.2.0.0/24" in text
    assert {line.rstrip() for line in said.splitlines()} <= {line.rstrip() for line in slotted.log_text().splitlines()}


GROUP = {"name": "infra", "slots": {"slot1": {}, "slot2": {}}}


def test_a_slot_of_which_nothing_is_known_any_more(slotted):
    """Its records and its line in the configuration are gone, the VM is not: the next daemon finds it by what bears its id."""
    d = slotted
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)
    gone = [d.monitor_pid("slot2"), d.vmm_pid("slot2")]
    stays = d.vmm_pid("slot1")
    d.kill()
    shutil.rmtree(d.state_dir / "vms" / "slot2")
    (d.state_dir / "vms" / "backup").mkdir()  # its owner's
    kept = d.state_dir / "vms" / "slot7"  # what a record that got lost was of
    kept.mkdir()
    (kept / "disk.qcow2").write_text("precious")
    slots(d, {"slot1": {}})
    d.env["SLICER_RECONCILE_MS"] = "100"
    d.start()
    until(lambda: not any(alive(pid) for pid in gone), 30, "it is ended")
    until(lambda: {n["hostname"] for n in d.client.nodes()} == {"slot1"}, 20)
    until(lambda: not (d.run_dir / "slot2").exists(), 20)
    assert d.vmm_pid("slot1") == stays and alive(stays) and "br-slot1" in addresses()
    assert (d.state_dir / "vms" / "backup").is_dir()
    (d.state_dir / "vms" / "backup").rmdir()
    assert (kept / "disk.qcow2").read_text() == "precious" and d.log_text().count("slot7") == 1, "left alone, and told of once"
    shutil.rmtree(kept)
    assert d.stop() == 0 and "br-slot2" not in addresses(), "which nobody uses any more"


def test_who_reaches_whom(world):
    config = world.config("a", GROUP)
    world.netrun(config, "a-1", "up", "infra")
    one, two = (world.guest(config, "a-1", "infra", n, hostname=f"slot{n}") for n in (1, 2))
    assert (one.ip, two.ip) == ("10.1.0.2", "10.2.0.2")
    for slot, gateway in ((one, "10.1.0.1"), (two, "10.2.0.1")):
        assert slot.space.ask(INTERNET) == "10.99.0.2", "translated"
        assert slot.space.ask(gateway) == slot.ip
        assert world.host.ask(slot.ip) == gateway
    assert one.space.ask(two.ip, reached=False) is None and two.space.ask(one.ip, reached=False) is None, "never each other"
    world.lan.ip("route add 10.1.0.0/24 via 10.99.0.2")
    assert world.lan.ask(one.ip) == "10.99.0.1", "from a routed network"
    one.end(), two.end()
    world.netrun(config, "a-1", "down", "infra")
    assert world.host.state() == world.before


BAD = {
    "no number": ({"web": {}}, "does not end in a number from 1 to 255"),
    "the same number": ({"a1": {}, "b1": {}}, "10.1.0.0/24, is also that of slot a1"),
    "too large": ({"slot300": {}}, "does not end in a number from 1 to 255"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(world, case):
    names, words = BAD[case]
    done = world.netrun(world.config("a", {"name": "infra", "slots": names}), "a-1", "up", "infra", check=False)
    assert done.returncode == 1 and re.search(re.escape(words), done.stderr), done.stderr


def reload(d, names):
    """Returns what the daemon says of it."""
    slots(d, names)
    d.file.write_text(yaml.safe_dump({"config": d.config}))
    before = d.log_text().count("reloaded")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.log_text().count("reloaded") > before, 20)
    return next(line for line in reversed(d.log_text().splitlines()) if "reloaded" in line)


def test_reload(slotted):
    """SIGHUP: one more line of YAML becomes a slot; whatever else has changed is refused, and nothing is touched."""
    d = slotted
    until(lambda: all(n["status"] == "Running" for n in d.client.nodes()), 20)
    assert d.client.request("POST", "/vm/slot2/shutdown").status == 200
    reload(d, SIX)
    until(lambda: {n["hostname"]: n["status"] for n in d.client.nodes()} ==
          {"slot1": "Running", "slot2": "Stopped", "slot6": "Running"}, 20)
    assert addresses()["br-slot6"] == ["10.6.0.1"] and d.client.node("slot6")["ip"] == "10.6.0.2"
    for change, words in (({"slot1": {}, "slot6": {}}, "slot slot2 is gone or has changed"),
                          ({**SIX, "slot1": {"index": 9}}, "slot slot1 is gone or has changed"),
                          ({**SIX, "nine": {}}, "does not end in a number")):
        assert words in reload(d, change)
    d.config["graceful_shutdown"] = False
    assert "something besides the host groups has changed" in reload(d, SIX)
    assert {n["hostname"]: n["status"] for n in d.client.nodes()} == {"slot1": "Running", "slot2": "Stopped", "slot6": "Running"}


def unit_command(unit, key, slot):
    """What systemd runs for microvm@SLOT: only what this template has, words in quotes and %i."""
    (line,) = re.findall(rf"^{key}=(.*)$", unit, re.M)
    return [word.replace("%i", slot) for word in shlex.split(line)]


def test_units_of_slots(logs, daemon, tmp_path):
    """microvm@.service as generated: systemd takes it, and its commands start and stop a slot, whatever state it is in."""
    d = slots(daemon(start=False), ONE)
    d.write_config()
    unit = sh(SLICER, "service", "generate", "--slots", "--working-directory", d.dir, d.file, env=d.env)
    assert d.address in unit and "After=slicer.service" in unit
    if shutil.which("systemd-analyze"):
        (tmp_path / "microvm@.service").write_text(unit)
        (tmp_path / "slicer.service").write_text(sh(SLICER, "service", "generate", d.file, env=d.env))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "microvm@slot1.service"], capture_output=True, text=True,
                              env={**d.env, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
        assert done.returncode == 0 and "microvm" not in done.stderr, done.stderr

    def run(key, name="slot1"):
        return subprocess.run(unit_command(unit, key, name), capture_output=True, text=True, timeout=60, env=d.env)

    waiting = subprocess.Popen(unit_command(unit, "ExecStart", "slot1"), stdout=subprocess.PIPE, text=True, env=d.env)
    d.start()
    assert waiting.communicate(timeout=60)[0] == "slot1: runs already\n" and waiting.returncode == 0, "before the daemon answered"
    until(lambda: d.client.node("slot1")["status"] == "Running", 20)
    for _ in range(2):
        done = run("ExecStop")
        assert done.returncode == 0, done.stderr
        assert {n["hostname"]: n["status"] for n in d.client.nodes()}["slot1"] == "Stopped"
    assert run("ExecStart").returncode == 0 and d.client.node("slot1")["status"] in ("Starting", "Running")
    assert run("ExecStart").stdout == "slot1: runs already\n"
    assert run("ExecStart", "slot9").returncode == 1
