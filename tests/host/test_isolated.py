# SPDX-License-Identifier: MIT
"""A daemon and its isolated VMs: what the API shows, what a crash, a restart and a change of the host leave. Packets are
test_net_isolated.py's."""
import json
import os
import pathlib
import subprocess

import pytest
from slicertest import until
from slicertest.truth import wait_for_truth

OFTEN = {"SLICER_RECONCILE_MS": "100"}
SPACES = pathlib.Path("/run/netns")


def sh(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


def rules(vm):
    return sh("ip", "netns", "exec", vm, "nft", "list", "table", "ip", "slicer")


def veth(d, vm):
    return next((link for link in json.loads(sh("ip", "-d", "-j", "addr")) if link.get("ifalias") == f"slicer:{d.id}:{vm}"), None)


def group(**network):
    return {"network": {"mode": "isolated", **network}}


@pytest.fixture
def isolated(daemon):
    return daemon(env=OFTEN, group=group(drop=["192.0.2.0/24"]))


def test_a_vm_and_its_end(isolated):
    d = isolated
    vm = d.client.create(d.group)["hostname"]
    shown = d.client.get(f"/vm/{vm}").json
    assert shown["network"] == {"mode": "isolated", "ipv6": "off", "policy_source": "host_group",
                                "host_group": {"allow": [], "drop": ["192.0.2.0/24"]},
                                "effective": {"allow": [], "drop": ["192.0.2.0/24"]}}
    address = next(a for a in veth(d, vm)["addr_info"])
    assert shown["ip"].startswith("169.254.") and address["address"] == shown["ip"]
    assert (SPACES / vm).exists() and "192.0.2.0/24 : drop" in rules(vm)
    assert d.client.request("DELETE", f"/hostgroup/{d.group}/nodes/{vm}").status == 200
    assert not (SPACES / vm).exists()
    until(lambda: veth(d, vm) is None, 5, "its interface goes with its namespace")
    assert f'"{address["label"]}"' not in sh("nft", "list", "ruleset")


def test_lists_of_one_launch(isolated):
    d = isolated
    made = d.client.request("POST", f"/hostgroup/{d.group}/nodes", json={"network": {"allow": ["198.51.100.7:443"], "drop": []}})
    assert made.status in (200, 201), made.text
    vm = made.json["hostname"]
    network = d.client.get(f"/vm/{vm}").json["network"]
    assert network == {"mode": "isolated", "ipv6": "off", "policy_source": "vm", "host_group": {"allow": [], "drop": ["192.0.2.0/24"]},
                       "override": {"allow": ["198.51.100.7:443"], "drop": []},
                       "effective": {"allow": ["198.51.100.7:443"], "drop": []}}
    text = rules(vm)
    assert "198.51.100.7 . tcp . 443 : accept" in text and "192.0.2.0/24" not in text
    only = d.client.request("POST", f"/hostgroup/{d.group}/nodes", json={"network": {"drop": ["203.0.113.9"]}}).json["hostname"]
    assert "203.0.113.9 : drop" in rules(only) and "192.0.2.0/24" not in rules(only)
    for bad in (["203.0.113.9:99999"], ["example.org"], ["10.0.0.0/33"], [7]):
        assert d.client.request("POST", f"/hostgroup/{d.group}/nodes", json={"network": {"drop": bad}}).status == 400
    assert len(d.client.nodes()) == 2


def test_a_wanted_address(isolated):
    d = isolated
    first = d.client.create(d.group)["ip"].partition("/")[0]
    other = first.rpartition(".")[0] + ".122"
    post = f"/hostgroup/{d.group}/nodes"
    assert d.client.request("POST", post, json={"ip": other}).json["ip"] == f"{other}/30"
    for taken in (other, first):
        refused = d.client.request("POST", post, json={"ip": taken})
        assert refused.status == 409 and refused.text.endswith('is in use by a VM"}'), refused.text
    refused = d.client.request("POST", post, json={"ip": "10.0.0.2"})
    assert refused.status == 400 and "is not an address of host group" in refused.text
    assert f"the third of each four in {first.rpartition('.')[0].rpartition('.')[0]}" in refused.text, refused.text


def test_a_killed_daemon_and_a_relaunch(isolated):
    d = isolated
    vm = d.client.create(d.group, persistent=True)["hostname"]
    ip = d.client.node(vm)["ip"]
    d.kill()
    sh("nft", "flush", "ruleset")
    sh("ip", "netns", "exec", vm, "nft", "flush", "ruleset")
    sh("ip", "addr", "flush", "dev", veth(d, vm)["ifname"])
    d.start()
    assert d.client.node(vm)["status"] == "Running"
    assert "192.0.2.0/24 : drop" in rules(vm) and veth(d, vm)["addr_info"], "put back"
    assert "iifgroup" in sh("nft", "list", "ruleset")
    assert d.client.request("POST", f"/vm/{vm}/shutdown").status == 200
    until(lambda: not (SPACES / vm).exists() and veth(d, vm) is None, 5, "a stopped VM has no network")
    assert d.client.request("POST", f"/vm/{vm}/relaunch").status == 200
    assert d.client.node(vm)["ip"] == ip and (SPACES / vm).exists()
    # An address that has become somebody else's meanwhile is given up.
    assert d.client.request("POST", f"/vm/{vm}/shutdown").status == 200
    sh("ip", "addr", "add", f"{ip}/32", "dev", "lo")
    try:
        assert d.client.request("POST", f"/vm/{vm}/relaunch").status == 200
        assert d.client.node(vm)["ip"] != ip
    finally:
        sh("ip", "addr", "del", f"{ip}/32", "dev", "lo")


def test_what_changes_on_the_host_is_followed(isolated):
    d = isolated
    vm = d.client.create(d.group)["hostname"]
    sh("ip", "addr", "add", "198.51.100.99/24", "dev", "lo")
    try:
        until(lambda: "198.51.100.99" in rules(vm), 20, "an address of this host is not reached")
    finally:
        sh("ip", "addr", "del", "198.51.100.99/24", "dev", "lo")
    until(lambda: "198.51.100.99" not in rules(vm), 20)
    sh("nft", "flush", "ruleset")
    until(lambda: "iifgroup" in sh("nft", "list", "ruleset") and veth(d, vm)["ifname"] in sh("nft", "list", "ruleset"), 20)
    sh("ip", "link", "set", veth(d, vm)["ifname"], "down", "group", "0")
    until(lambda: "UP" in veth(d, vm)["flags"] and veth(d, vm)["addr_info"], 20)


def test_namespaces_of_nobody(isolated):
    """Ours without a VM goes; a stranger's, or another daemon's, stays."""
    d = isolated
    ours, other, foreign = f"{d.group}-9", f"{d.group}-8", f"{d.group}-7"
    try:
        for name, alias in ((ours, f"slicer:{d.id}:{ours}"), (other, f"slicer:other-123456:{other}"), (foreign, None)):
            sh("ip", "netns", "add", name)
            if alias:
                sh("ip", "-n", name, "link", "set", "lo", "alias", alias)
        until(lambda: not (SPACES / ours).exists(), 10, "it is removed")
        assert (SPACES / other).exists() and (SPACES / foreign).exists()
    finally:
        for name in (ours, other, foreign):
            sh("ip", "netns", "del", name, check=False)


def test_a_name_that_is_taken(isolated):
    d = isolated
    sh("ip", "netns", "add", f"{d.group}-1")
    try:
        made = d.client.request("POST", f"/hostgroup/{d.group}/nodes", json={})
        assert made.status == 409 and "and it is not this VM's" in made.text, made.text
        assert (SPACES / f"{d.group}-1").exists() and d.client.nodes() == []
    finally:
        sh("ip", "netns", "del", f"{d.group}-1")


POINTS = ["launch.network", "stop.network", "delete.network"]


@pytest.mark.parametrize("how", ["fail", "kill"])
@pytest.mark.parametrize("point", POINTS)
def test_faults(daemon, point, how):
    """The steps that differ from other networks': whatever is left, the next daemon puts right."""
    d = daemon(env={"SLICER_FAULT": f"{point}:{how}"}, group=group())
    names = []
    for action in (lambda: names.append(d.client.create(d.group, persistent=True)["hostname"]),
                   lambda: d.client.request("POST", f"/vm/{names[0]}/shutdown", timeout=60),
                   lambda: d.client.request("DELETE", f"/hostgroup/{d.group}/nodes/{names[0]}", timeout=60)):
        try:
            action()
        except Exception:  # what a client of a killed daemon sees is not the matter here
            break
    assert f"fault injected at {point}:{how}" in d.log_text()
    if how == "kill":
        until(lambda: d.process.poll() is not None, 10)
    else:
        d.kill()
    d.env.pop("SLICER_FAULT")
    d.start()
    until(lambda: all(n["status"] in ("Running", "Stopped") for n in d.client.nodes()), 20)
    wait_for_truth(d, 10)
    running = {n["hostname"] for n in d.client.nodes() if n["status"] == "Running"}
    until(lambda: {name for name in os.listdir(SPACES) if name.startswith(d.group)} == running)
    for node in d.client.nodes():
        until(lambda: (veth(d, node["hostname"]) is not None) == (node["hostname"] in running), 5)


def test_only_allow_says_what_it_does_to_dns(daemon):
    d = daemon(group=group(allow=["198.51.100.0/24"]))
    assert "their DNS servers (8.8.8.8, 1.1.1.1) are not in it" in d.log_text()


def test_many_come_and_go(isolated):
    """Side by side: nothing is left, addresses differ."""
    d = isolated
    made = [d.client.create(d.group) for _ in range(12)]
    assert len({m["ip"] for m in made}) == 12
    d.stop()
    assert not [name for name in os.listdir(SPACES) if name.startswith(d.group)]


def test_a_changed_range(isolated):
    """What a killed daemon has left in its tables is not in the way of the next, unless its VMs go on."""
    d = isolated
    network = d.config["host_groups"][0]["network"]

    def restart(text):
        d.kill()
        network["range"] = text
        d.start()
        return sh("nft", "list", "ruleset")
    chain = "chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"  # let VMs pass this, too
    sh("nft", f"add table ip filter; add {chain}")
    try:
        assert restart("10.78.0.0/22").count("10.78.0.0/22") > 1
        now = restart("10.78.0.0/24")  # within: a set takes no two that overlap
        assert now.count("10.78.0.0/24") > 1 and "10.78.0.0/22" not in now
    finally:
        sh("nft", "delete table ip filter")
    vm = d.client.create(d.group)["hostname"]
    now = restart("10.79.0.0/24")
    assert "10.79.0.0/24" in now and "10.78.0.0/24" in now and d.client.node(vm)["ip"].startswith("10.78.0.")
    other = d.client.create(d.group)["hostname"]
    d.client.remove(vm)  # the last one in it
    until(lambda: "10.78.0.0/24" not in sh("nft", "list", "ruleset"), 20)
    until(lambda: "subnet 10.78.0.0/24 is of no group of the configuration any more" in d.log_text(), 5)
    assert "10.79.0.0/24" in sh("nft", "list", "ruleset") and d.client.node(other)["ip"].startswith("10.79.0.")
    d.client.remove(other)


def test_a_range_that_follows_from_a_name(daemon):
    """Which is in no file: another group may have the same, and no part of it."""
    d = daemon(start=False)
    ours, other = ({"name": name, "count": 0, "vcpu": 1, "ram_mb": 64, "network": {"mode": "isolated"}} for name in ("sandbox", "other"))
    d.config["host_groups"] = [ours, other]
    for network in ({"mode": "isolated", "range": "169.254.144.0/24"}, {"mode": "isolated", "range": "169.254.144.0/21"},
                    {"bridge": "briso0", "tap_prefix": "isotap", "gateway": "169.254.145.1/24"}):
        other["network"] = network
        code, said = d.fails()
        assert code == 2 and 'host group "sandbox": its range 169.254.144.0/22, which follows from its name, overlaps' in said, said
    other["network"] = {"mode": "isolated", "range": "169.254.144.0/22"}
    d.start()
    assert {d.client.create(name)["ip"] for name in ("sandbox", "other")} == {"169.254.144.2/30", "169.254.144.6/30"}
