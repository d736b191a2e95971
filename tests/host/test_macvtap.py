# SPDX-License-Identifier: MIT
"""Macvtap without guests: what `up` and a launch refuse, addresses of the static pool, what is left when a VM goes. The VMs
are of the fake hypervisor, their interfaces real."""
import contextlib
import http.client
import re

import pytest
from slicertest import Daemon, UpFailed, until
from slicertest.lan import SUBNET, lan


@pytest.fixture(scope="module")
def net(store, tmp_path_factory):
    with lan(tmp_path_factory.mktemp("lan")) as one:
        yield one


@contextlib.contextmanager
def up(net, directory, count=0, **network):
    with Daemon(directory, prefix=net.prefix, env={"SLICER_RECONCILE_MS": "200"}, group={"network": {"mode": "macvtap", **network}, "count": count}) as d:
        yield d


def macvtaps(net):
    return re.findall(r"^(mv-\w+)@(\w+)", net.on_host("-br", "link"), re.M)


def test_a_vm_gets_an_interface_beside_its_parent_and_takes_it_along(net, tmp_path):
    with up(net, tmp_path) as d:
        made = d.client.create(d.group)
        (name, parent), = macvtaps(net)
        assert parent == "lan0" and made["ip"] != f"{SUBNET}.2/24"
        shown = net.on_host("-d", "link", "show", name)
        node = d.client.nodes()[0]
        assert d.client.get(f"/vm/{made['hostname']}").json["network"]["ipv6"] == "slaac"
        assert "macvtap mode bridge" in shown and node["mac"] in shown and "ALLMULTI" in shown
        assert f"alias slicer:{d.id}:{made['hostname']}" in shown
        assert net.on_host("-6", "addr", "show", "dev", name) == "", "the host has no address on it"
        assert "cannot reach" in d.log_text()
        again = d.client.create(d.group)
        macs = {n["hostname"]: n["mac"] for n in d.client.nodes()}
        assert len(set(macs.values())) == 2
        d.kill()
        d.start()
        until(lambda: len(d.client.nodes()) == 2)
        assert {n["hostname"]: n["mac"] for n in d.client.nodes()} == macs
        for vm in (made, again):
            assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm['hostname']}").status == 200
        assert macvtaps(net) == []


def test_the_static_pool_is_the_end_of_the_subnet(net, tmp_path):
    with up(net, tmp_path, gateway=f"{SUBNET}.1/24") as d:
        made = [d.client.create(d.group)["ip"] for _ in range(2)]
        assert made == [f"{SUBNET}.220/24", f"{SUBNET}.221/24"]
        assert d.client.create(d.group, ip=f"{SUBNET}.254")["ip"] == f"{SUBNET}.254/24"
        refused = d.client.post(f"/hostgroup/{d.group}/nodes", json={"ip": f"{SUBNET}.219"})
        assert refused.status == 400


def test_addresses_without_a_mask(net, tmp_path):
    with up(net, tmp_path, gateway=f"{SUBNET}.1/24", addresses=[f"{SUBNET}.200", f"{SUBNET}.202"], parent="lan0") as d:
        assert [d.client.create(d.group)["ip"] for _ in range(2)] == [f"{SUBNET}.200/24", f"{SUBNET}.202/24"]
        refused = d.client.post(f"/hostgroup/{d.group}/nodes", json={})
        assert refused.status == 503 and "in use" in refused.json["error"]


def test_dhcp_gives_no_address_on_demand(net, tmp_path):
    with up(net, tmp_path) as d:
        refused = d.client.post(f"/hostgroup/{d.group}/nodes", json={"ip": f"{SUBNET}.60"})
        assert refused.status == 400 and "DHCP" in refused.json["error"]


def test_a_service_whose_parent_is_down_is_tried_again(net, tmp_path):
    net.on_host("link", "add", "down0", "type", "veth", "peer", "name", "down1")
    try:
        net.on_host("link", "set", "down0", "up")
        with up(net, tmp_path, count=1, parent="down0") as d:
            vm = f"{d.group}-1"

            def status():
                return d.client.node(vm)["status"]
            until(lambda: status() == "Running", 20)
            assert d.client.post(f"/vm/{vm}/shutdown").status == 200
            net.on_host("link", "set", "down0", "down")
            refused = d.client.post(f"/vm/{vm}/relaunch")
            assert refused.status == 409 and "down0 is down" in refused.json["error"]
            until(lambda: f"[{vm}] could not start before: trying again" in d.log_text(), 20, "it is tried again")
            net.on_host("link", "set", "down0", "up")
            until(lambda: status() == "Running", 30)
    finally:
        net.on_host("link", "del", "down0")


@pytest.fixture
def odd_links(net):
    """A bridge with a port, an interface that is down, a VPN."""
    def ip(*words):
        net.on_host(*words)
    ip("link", "add", "br9", "type", "bridge")
    ip("link", "add", "port9", "type", "veth", "peer", "name", "down9")
    ip("link", "set", "port9", "master", "br9")
    ip("link", "set", "br9", "up")
    ip("link", "set", "port9", "up")
    ip("tuntap", "add", "vpn9", "mode", "tun")
    ip("link", "set", "vpn9", "up")
    yield
    for name in ("br9", "port9", "vpn9"):
        ip("link", "del", name)


@pytest.mark.parametrize("parent, says", [
    ("nosuch0", "no interface nosuch0; possible ones: lan0"),
    ("lo", "loopback"),
    ("port9", "network.parent: br9"),
    ("down9", "ip link set down9 up"),
    ("vpn9", "not an Ethernet"),
])
def test_impossible_parents(net, tmp_path, odd_links, parent, says):
    with pytest.raises(UpFailed) as failed, up(net, tmp_path, parent=parent):
        pass
    assert says in str(failed.value)


def test_without_a_default_route_a_parent_must_be_named(net, tmp_path):
    net.on_host("route", "del", "default")
    try:
        with pytest.raises(UpFailed) as failed, up(net, tmp_path / "a"):
            pass
        assert "set network.parent" in str(failed.value) and "lan0" in str(failed.value)
        with up(net, tmp_path / "b", parent="lan0") as d:
            d.client.create(d.group)
    finally:
        net.on_host("route", "add", "default", "via", f"{SUBNET}.1")


def test_a_parent_that_vanishes_is_told(net, tmp_path):
    net.on_host("link", "add", "gone9", "type", "veth", "peer", "name", "peer9")
    net.on_host("link", "set", "gone9", "up")
    with up(net, tmp_path, parent="gone9") as d:
        vm = d.client.create(d.group)["hostname"]
        net.on_host("link", "set", "gone9", "down")
        until(lambda: "its parent gone9 is down" in d.log_text(), 10)
        net.on_host("link", "set", "gone9", "up")
        until(lambda: "is as it should be again" in d.log_text(), 10)
        net.on_host("link", "del", "gone9")
        until(lambda: "gone with its parent gone9, which vanished" in d.log_text(), 10)
        d.kill()
        with pytest.raises(UpFailed) as failed:
            d.start()
        assert "no interface gone9" in str(failed.value)
        net.on_host("link", "add", "gone9", "type", "veth", "peer", "name", "peer9")
        net.on_host("link", "set", "gone9", "up")
        d.start()
        until(lambda: "its interface is gone" in d.log_text(), 10)
        assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}").status == 200
        d.client.create(d.group)
    assert macvtaps(net) == []
    net.on_host("link", "del", "gone9")


@pytest.mark.parametrize("end", ["fail", "kill"])
def test_faults_behind_the_network(net, tmp_path, end):
    with up(net, tmp_path) as d:
        d.kill()
        d.env["SLICER_FAULT"] = f"launch.network:{end}"
        d.start()
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent"}, json={}).status == 500
        assert "fault injected at launch.network" in d.log_text()
        if end == "kill":
            until(lambda: d.process.poll() is not None, 10)
            assert len(macvtaps(net)) == 1
        else:
            d.kill()
        del d.env["SLICER_FAULT"]
        d.start()
        until(lambda: d.client.nodes() == [] and macvtaps(net) == [], 20)


@pytest.mark.parametrize("harm, says", [(("set", "gone9", "down"), "gone9 is down; bring it up (ip link set gone9 up)"),
                                        (("del", "gone9"), "there is no interface gone9; possible ones: lan0")])
def test_a_parent_that_is_not_there_at_a_launch(net, tmp_path, harm, says):
    net.on_host("link", "add", "gone9", "type", "veth", "peer", "name", "peer9")
    net.on_host("link", "set", "gone9", "up")
    try:
        with up(net, tmp_path, parent="gone9") as d:
            net.on_host("link", *harm)
            answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
            assert answer.status in (409, 500) and says in answer.json["error"], answer
            until(lambda: d.client.nodes() == [], 10)
            assert macvtaps(net) == []
    finally:
        net.on_host("link", "del", "gone9", check=False)


def test_two_vms_of_one_name_on_a_lan(net, tmp_path):
    """Of two daemons whose groups have the same name, and do not know of each other (in two containers, say): their MAC address
    is the same, which the kernel refuses on one parent."""
    with up(net, tmp_path / "a") as a:
        a.client.create(a.group)
        (first, _), = macvtaps(net)
        a.run_dir.with_suffix(".json").unlink()
        b = Daemon(tmp_path / "b", prefix=net.prefix, group={"network": {"mode": "macvtap"}})
        b.group = b.config["host_groups"][0]["name"] = a.group
        with b:
            answer = b.client.post(f"/hostgroup/{b.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
            assert answer.status == 409, answer
            assert f"another VM on lan0 has this VM's MAC address {a.client.nodes()[0]['mac']}" in answer.json["error"]
            assert "Give the host group another name" in answer.json["error"]
            assert b.client.nodes() == [] and [name for name, _ in macvtaps(net)] == [first]


def test_somebody_elses_interface_is_left_alone(net, tmp_path):
    with up(net, tmp_path) as d:
        first = d.client.create(d.group)["hostname"]
        (name, _), = macvtaps(net)
        assert d.client.delete(f"/hostgroup/{d.group}/nodes/{first}").status == 200
        net.on_host("link", "add", name, "type", "bridge")
        try:
            answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
            assert answer.status == 409 and "not VM" in answer.json["error"], answer
        finally:
            assert "bridge" in net.on_host("-d", "link", "show", name)
            net.on_host("link", "del", name)
