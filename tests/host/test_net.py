# SPDX-License-Identifier: MIT
"""Bridge networks with real packets (slicertest/netspace.py)."""
import json
import socket
import subprocess

import pytest

from slicertest.netspace import ENV, INTERNET, NETRUN, Guest, arrived, heard


def bridge(name, link, gateway):
    return {"name": name, "count": 2, "network": {"bridge": link, "tap_prefix": f"{name}tap", "gateway": gateway}}


@pytest.fixture
def one(world):
    """The configuration of one daemon with one group, up."""
    config = world.config("a", bridge("vm", "brvm0", "192.168.137.1/24"))
    world.netrun(config, "a-1", "up", "vm")
    return config


def test_who_reaches_whom(world, one):
    other = world.config("b", bridge("web", "brweb0", "172.20.0.254/24"))
    world.netrun(other, "b-2", "up", "web")
    a1, a2 = world.guest(one, "a-1", "vm", 1), world.guest(one, "a-1", "vm", 2)
    b1 = world.guest(other, "b-2", "web", 1)
    assert (a1.ip, a2.ip, b1.ip) == ("192.168.137.2", "192.168.137.3", "172.20.0.1")
    for vm, peer in ((a1, a2), (a2, a1)):
        assert vm.space.ask(peer.ip) == vm.ip
    assert a1.space.ask("192.168.137.1") == a1.ip
    assert world.host.ask(a1.ip) == "192.168.137.1"
    # Out by translation: the LAN knows no route to the VMs.
    for vm in (a1, b1):
        assert vm.space.ask(INTERNET) == "10.99.0.2"
        assert vm.space.ask("10.99.0.1") == "10.99.0.2"
    assert world.lan.ask(a1.ip, reached=False) is None
    # A machine that adds the route reaches VMs, which see its own address; one daemon's VMs reach another's.
    world.lan.ip("route add 192.168.137.0/24 via 10.99.0.2")
    assert world.lan.ask(a1.ip) == "10.99.0.1"
    assert a1.space.ask(b1.ip) == "172.20.0.254"
    # The end of one daemon's network is none of the other's.
    a1.end(), a2.end()
    assert b1.space.ask(a1.ip, reached=False) is None
    world.netrun(one, "a-1", "down", "vm")
    assert b1.space.ask(INTERNET) == "10.99.0.2"
    assert world.lan.ask(a1.ip, reached=False) is None
    assert world.netrun(one, "", "list").stdout == "bridge brweb0 b-2 web\ntap webtap1 b-2 web-1\n"
    b1.end()
    world.netrun(other, "b-2", "down", "web")
    assert world.host.state() == world.before


def test_a_group_by_another_name(world, one):
    """After a kill: the bridge of before is in nobody's way unless VMs are on it, which is said then."""
    renamed = world.config("renamed", bridge("web", "brweb0", "192.168.137.1/24"))
    same = world.config("same", bridge("web", "brvm0", "192.168.137.1/24"))
    vm = world.guest(one, "a-1", "vm", 1)

    def refused():
        return world.netrun(renamed, "a-1", "up", "web", check=False).stderr
    world.netrun(renamed, "a-1", "renew")
    assert ('the subnet of gateway 192.168.137.1/24 overlaps the address 192.168.137.1/24 of brvm0, which "vm" had before the '
            'configuration was changed, and on which its VM "vm-1" still runs. Undo the change and delete the VMs of "vm"') in refused()
    world.netrun(same, "a-1", "renew")
    world.netrun(same, "a-1", "up", "web")
    assert vm.space.ask(INTERNET) and "bridge brvm0 a-1 web\n" in world.netrun(same, "a-1", "list").stdout
    vm.end()
    assert 'which "web" had before the configuration was changed. No VM uses it: remove it with slicer net check --fix' in refused()
    world.netrun(renamed, "a-1", "renew")
    assert world.host.state() == world.before
    world.netrun(renamed, "a-1", "up", "web")
    good = world.host.state()
    world.netrun(renamed, "a-1", "renew")
    assert world.host.state() == good
    world.netrun(renamed, "a-1", "down", "web")


def test_nobody_speaks_for_another(world, one):
    a1, a2 = world.guest(one, "a-1", "vm", 1), world.guest(one, "a-1", "vm", 2)
    for target in ("192.168.137.1", a2.ip):  # whose MAC address is known from here on
        assert a1.space.ask(target) == a1.ip
    a1.space.ip(f"addr add {a2.ip}/32 dev lo", "addr add 198.51.100.1/32 dev lo", "addr add 192.168.137.77/32 dev lo")
    sources = (a2.ip, "192.168.137.77", "198.51.100.1", a1.ip)
    assert arrived(world.host, a1, "192.168.137.1", sources, wanted=1) == {a1.ip}
    assert arrived(world.lan, a1, INTERNET, sources, wanted=1) == {"10.99.0.2"}
    a1.space.ip(f"addr del {a2.ip}/32 dev lo")
    assert arrived(a2.space, a1, a2.ip, sources[1:], wanted=2) == {a1.ip, "198.51.100.1"}  # whose rp_filter is off
    # Claims of the gateway's and of another VM's address by ARP are heard by nobody, those of its own are.
    mac = a1.plan["guest"]["mac"]
    claims = [bytes.fromhex("0001080006040002") + bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(ip)
              + bytes(6) + socket.inet_aton(ip) for ip in ("192.168.137.1", a2.ip, a1.ip)]
    foreign = claims[2].replace(bytes.fromhex(mac.replace(":", "")), b"\2\0\0\0\0\x99")
    assert heard(world.host, "brvm0", a1, 0x0806, [*claims, foreign], wanted=1) == {claims[2].hex()}
    assert heard(a2.space, "eth0", a1, 0x0806, [*claims, foreign], wanted=1) == {claims[2].hex()}
    # IPv6 and whatever else does not pass, to the host or to another.
    for space, link in ((world.host, "brvm0"), (a2.space, "eth0")):
        for protocol in (0x86dd, 0x88cc):
            assert heard(space, link, a1, protocol, [b"\x60" + bytes(45)], wanted=0) == set()
    assert "inet6" not in world.host.run("ip", "addr", "show", "brvm0").stdout
    assert "inet6" not in world.host.run("ip", "addr", "show", a1.tap).stdout
    # A foreign MAC address does not pass, not even with the right IP address and without ARP.
    lladdr = json.loads(world.host.run("ip", "-j", "link", "show", "brvm0").stdout)[0]["address"]
    for mac, sources in ((mac, {a1.ip}), ("02:00:00:00:00:99", set())):
        a1.space.ip(f"link set eth0 address {mac}", f"neigh replace 192.168.137.1 lladdr {lladdr} dev eth0 nud permanent")
        assert arrived(world.host, a1, "192.168.137.1", [a1.ip], wanted=len(sources)) == sources
    assert a2.space.ask("192.168.137.1") == a2.ip


def test_a_network_behind_a_vm(world, one):
    """nested-virtualization.md: workstation, server, VM, and VMs in that VM."""
    a1 = world.guest(one, "a-1", "vm", 1)
    a1.space.ip("addr add 192.168.200.2/32 dev lo")
    assert a1.space.ask("192.168.137.1", source="192.168.200.2", reached=False) is None
    world.host.ip(f"route add 192.168.200.0/24 via {a1.ip}")
    world.lan.ip("route add 192.168.200.0/24 via 10.99.0.2")
    assert world.host.ask("192.168.200.2") == "192.168.137.1"
    assert world.lan.ask("192.168.200.2") == "10.99.0.1"
    assert a1.space.ask("192.168.137.1", source="192.168.200.2") == "192.168.200.2"


def test_slicer_in_a_vm_of_slicer(world):
    """The topology of nested-virtualization.md with its addresses and routes, a daemon's network on each of the two levels: the
    workstation reaches both through the server."""
    outer = world.config("slicer0", bridge("slicer0", "brslicer0", "192.168.130.1/24"))
    inner = world.config("slicer1", bridge("slicer1", "brslicer1", "192.168.137.1/24"))
    world.netrun(outer, "s-0", "up", "slicer0")
    vm = world.guest(outer, "s-0", "slicer0", 1)
    vm.space.run(NETRUN, inner, "s-1", "up", "slicer1", env=ENV)
    nested = Guest(vm.space, inner, "s-1", "slicer1", 1, world.stack)
    assert (vm.ip, nested.ip) == ("192.168.130.2", "192.168.137.2")
    assert nested.space.ask(INTERNET) == "10.99.0.2", "through two translations"
    assert world.host.ask(nested.ip, reached=False) is None and world.lan.ask(nested.ip, reached=False) is None
    world.host.ip("route add 192.168.137.0/24 via 192.168.130.2")
    world.lan.ip("route add 192.168.130.0/24 via 10.99.0.2", "route add 192.168.137.0/24 via 10.99.0.2")
    assert world.host.ask(nested.ip) == "192.168.130.1"
    assert world.lan.ask(vm.ip) == world.lan.ask(nested.ip) == "10.99.0.1"
    nested.end()
    vm.space.run(NETRUN, inner, "s-1", "down", "slicer1", env=ENV)
    vm.end()
    world.host.ip("route del 192.168.137.0/24")
    world.netrun(outer, "s-0", "down", "slicer0")
    assert world.host.state() == world.before


def test_again_and_after_a_flush(world, one):
    a1 = world.guest(one, "a-1", "vm", 1)
    good = world.host.state()
    for _ in range(3):
        world.netrun(one, "a-1", "up", "vm")
        world.netrun(one, "a-1", "mend", input=a1.text)
    assert world.host.state() == good
    world.host.run("nft", "flush", "ruleset")
    world.host.ip(f"link set {a1.tap} nomaster", "addr flush dev brvm0", "link set brvm0 down")
    assert a1.space.ask(INTERNET, reached=False) is None
    world.netrun(one, "a-1", "up", "vm")
    world.netrun(one, "a-1", "mend", input=a1.text)
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    assert world.host.state() == good
    # Not while VMs are there.
    refused = world.netrun(one, "a-1", "down", "vm", check=False)
    assert refused.returncode == 1 and "in use by the VM whose interface is vmtap1" in refused.stderr
    a1.end()
    for _ in range(2):
        world.netrun(one, "a-1", "vmdown", input=a1.text)
    gone = world.netrun(one, "a-1", "mend", input=a1.text, check=False)
    assert "its interface vmtap1 is gone: the VM has no network until it is started anew" in gone.stderr
    for _ in range(2):
        world.netrun(one, "a-1", "down", "vm")
    assert world.host.state() == world.before


def test_two_groups_of_one_daemon(world):
    config = world.config("a", bridge("vm", "brvm0", "192.168.137.1/24"), bridge("db", "brdb0", "192.168.138.1/28"))
    world.netrun(config, "a-1", "up", "vm")
    only_vm = world.host.state()
    world.netrun(config, "a-1", "up", "db")
    vm, db = world.guest(config, "a-1", "vm", 1), world.guest(config, "a-1", "db", 1)
    assert vm.space.ask(db.ip) == vm.ip  # routed, and not translated
    assert db.space.ask(INTERNET) == "10.99.0.2"
    db.end()
    world.netrun(config, "a-1", "down", "db")
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    vm.end()
    assert world.host.state() == only_vm
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == world.before


def test_a_changed_gateway(world, one):
    changed = world.config("changed", bridge("vm", "brvm0", "192.168.140.1/24"))
    a1 = world.guest(one, "a-1", "vm", 1)
    world.netrun(changed, "a-1", "up", "vm")
    assert a1.space.ask(INTERNET) == "10.99.0.2"  # a survivor keeps what it has
    a1.end()
    world.netrun(changed, "a-1", "up", "vm")
    assert "192.168.137.1" not in world.host.run("ip", "addr", "show", "brvm0").stdout
    assert "192.168.137.0" not in world.host.run("nft", "list", "ruleset").stdout, "it is no longer translated"
    # A wider subnet, around the one before: VMs that are in that are in the way.
    wider = world.config("wider", bridge("vm", "brvm0", "192.168.140.1/20"))
    a1 = world.guest(changed, "a-1", "vm", 1)
    done = world.netrun(wider, "a-1", "up", "vm", check=False)
    assert done.returncode and "former gateway 192.168.140.1/24, which overlaps the new one. Delete them" in done.stderr
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    a1.end()
    world.host.run("ip", "addr", "add", "192.168.140.9/32", "dev", "brvm0")  # somebody's
    world.netrun(wider, "a-1", "up", "vm")
    assert "192.168.128.0/20" in world.host.run("nft", "list", "ruleset").stdout
    changed = wider
    world.netrun(changed, "a-1", "down", "vm")
    assert world.host.state() == world.before


def test_two_groups_that_exchange_gateways(world):
    """After a kill: neither is in the other's way unless VMs are on it, which is said then."""
    gateways = ("192.168.137.1/24", "192.168.138.1/24")
    first, second = (world.config(name, bridge("vm", "brvm0", one), bridge("web", "brweb0", other))
                     for name, one, other in (("first", *gateways), ("second", *reversed(gateways))))

    def up(config):
        world.netrun(config, "a-1", "renew")
        for group in ("vm", "web"):
            world.netrun(config, "a-1", "up", group)
    up(first)
    state = world.host.state()
    up(first)
    assert world.host.state() == state, "nothing of it is made anew"
    up(second)
    for link, gateway in (("brvm0", gateways[1]), ("brweb0", gateways[0])):
        addresses = world.host.run("ip", "-br", "addr", "show", link).stdout
        assert gateway in addresses and addresses.count("192.168.") == 1
    vm = world.guest(second, "a-1", "vm", 1)
    assert vm.ip == "192.168.138.2" and vm.space.ask(INTERNET) == "10.99.0.2"
    world.netrun(first, "a-1", "renew")
    refused = world.netrun(first, "a-1", "up", "web", check=False).stderr
    assert 'which "vm" had before the configuration was changed, and on which its VM "vm-1" still runs' in refused
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    vm.end()
    up(first)
    for group in ("vm", "web"):
        world.netrun(first, "a-1", "down", group)
    assert world.host.state() == world.before


REFUSED = {
    "bridge": (["link add brvm0 type bridge"], "brvm0, a bridge that slicer did not make. Set network.bridge"),
    "device": (["link add brvm0 type veth peer name x"], "brvm0, a veth that slicer did not make"),
    "address": (["addr add 192.168.137.9/32 dev eth0"], "overlaps the address 192.168.137.9/32 of eth0"),
    "wider": (["addr add 192.168.0.9/16 dev eth0"], "overlaps the address 192.168.0.9/16 of eth0, a veth that"),
    "route": (["route add 192.168.137.128/25 via 10.99.0.1"], "overlaps the route 192.168.137.128/25 of eth0"),
    # As VPNs have them; a wider one, their default route among them, is no obstacle.
    "table": (["route add 192.168.137.0/24 via 10.99.0.1 table 52", "rule add priority 5270 lookup 52"],
              "overlaps the route 192.168.137.0/24 of eth0, a veth that slicer did not make. Set network.gateway"),
    "narrower table": (["route add 192.168.137.77/32 via 10.99.0.1 table 52", "rule add priority 5270 lookup 52"],
                       "overlaps the route 192.168.137.77/32 of eth0"),
    "one machine of many": (["route add 172.17.7.77/32 via 10.99.0.1 table 52", "rule add priority 5270 lookup 52"],
                            "the subnet of gateway 172.16.0.1/12 overlaps the route 172.17.7.77/32 of eth0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_somebody_elses(world, case):
    commands, words = REFUSED[case]
    config = world.config("a", bridge("vm", "brvm0", "172.16.0.1/12" if "172.16.0.1" in words else "192.168.137.1/24"))
    world.host.ip(*commands)
    before = world.host.state()
    done = world.netrun(config, "a-1", "up", "vm", check=False)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("host group") == 1, done.stderr
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == before


def test_routing_rules_that_lead_elsewhere_since(world, one):
    """A bridge that is there is no obstacle to itself, nor are rules and tables that have nothing of its subnet."""
    world.host.ip("route add 192.168.0.0/16 via 10.99.0.1 table 52", "route add 192.168.136.0/24 via 10.99.0.1 table 52",
                  "rule add priority 40000 lookup 52")
    world.netrun(one, "a-1", "up", "vm")
    world.host.ip("route add 192.168.137.0/25 via 10.99.0.1 table 53", "rule add priority 5270 lookup 53")
    done = world.netrun(one, "a-1", "up", "vm", check=False)
    assert done.returncode == 1 and "overlaps the route 192.168.137.0/25 of eth0" in done.stderr
    world.host.ip("rule del priority 5270")
    world.netrun(one, "a-1", "up", "vm")
    world.netrun(one, "a-1", "down", "vm")


@pytest.mark.parametrize("rule", ["lookup 52", "not fwmark 0xca6c lookup 52", "iif eth0 lookup 52"])
def test_a_vpns_default_route_before_main(world, one, rule):
    """It takes the way to VMs away, and what is advised gives it back."""
    world.host.ip("link add vpn0 type veth peer name vpn1", "link set vpn1 up", "link set vpn0 up", "route add default dev vpn0 table 52", f"rule add priority 5270 {rule}")
    said = world.netrun(one, "a-1", "up", "vm").stdout
    a1 = world.guest(one, "a-1", "vm", 1)
    assert a1.space.ask(INTERNET) is None and (world.host.ask(a1.ip) is None) == (not rule.startswith("iif"))
    assert "meet routing rule 5270 before the table main, whose table 52 leads them out of vpn0 (route default)" in said
    remedy = said.partition("Remedy: ")[2].partition(";")[0]
    assert remedy == "ip rule add priority 5269 to 192.168.137.0/24 lookup main"
    world.host.run(*remedy.split())
    assert world.netrun(one, "a-1", "up", "vm").stdout == ""
    assert world.host.ask(a1.ip) == "192.168.137.1"
    if rule.startswith("iif"):  # else they leave by the VPN, as the host's own do
        assert a1.space.ask(INTERNET) == "10.99.0.2"
    a1.end()


def test_vms_leave_by_a_vpn(world, one):
    """As wg-quick has it: a default route that only a table of its own has. Answers come in there, and are passed on."""
    world.host.ip(f"link add vpn0 type veth peer name vpn0 netns {world.lan.pid}", "addr add 10.98.0.2/32 dev vpn0", "link set vpn0 up",
                  "route add default dev vpn0 table 51820", "rule add priority 32764 lookup main suppress_prefixlength 0",
                  "rule add priority 32765 not fwmark 0xca6c lookup 51820")
    world.lan.ip("link set vpn0 up", "addr add 10.98.0.1 peer 10.98.0.2/32 dev vpn0")
    assert world.netrun(one, "a-1", "up", "vm").stdout == ""
    a1 = world.guest(one, "a-1", "vm", 1)
    assert world.host.ask(INTERNET) == "10.98.0.2"
    assert a1.space.ask(INTERNET) == "10.98.0.2" and world.host.ask(a1.ip) == "192.168.137.1"
    a1.end()


def test_what_is_another_daemons(world, one):
    before = world.host.state()
    done = world.netrun(one, "b-2", "up", "vm", check=False)
    assert "brvm0, which belongs to vm of the slicer daemon a-1" in done.stderr
    other = world.config("b", bridge("web", "brweb0", "192.168.137.129/25"))
    done = world.netrun(other, "b-2", "up", "web", check=False)
    assert "overlaps the address 192.168.137.1/24 of brvm0, which belongs to vm of the slicer daemon a-1" in done.stderr
    world.netrun(one, "b-2", "down", "vm")
    assert world.host.state() == before


def test_a_vm_whose_interface_is_somebody_elses(world, one):
    world.host.ip("tuntap add vmtap1 mode tap")
    before = world.host.state()
    done = world.netrun(one, "a-1", "vm", "vm", 1, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "there is an interface vmtap1 already, and it is not VM \"vm-1\"'s" in done.stderr
    assert world.host.state() == before


@pytest.mark.parametrize("docker", [False, True], ids=["ufw", "docker"])
def test_a_firewall_that_drops_what_it_does_not_know(world, docker):
    rules = "table ip filter {\n chain FORWARD { type filter hook forward priority 0; policy drop; %s\n }\n}\n"
    if docker:
        rules = "table ip filter {\n chain DOCKER-USER { return; }\n}\n" + rules % "jump DOCKER-USER"
    world.host.run("nft", "-f", "-", input=rules % () if docker else rules % "")
    before = world.host.state()
    config = world.config("a", bridge("vm", "brvm0", "192.168.137.1/24"))
    for _ in range(3):
        assert world.netrun(config, "a-1", "up", "vm").stdout == ""
    chain = "DOCKER-USER" if docker else "FORWARD"
    assert world.host.run("nft", "list", "chain", "ip", "filter", chain).stdout.count("slicer_a-1:brvm0") == 2
    a1 = world.guest(config, "a-1", "vm", 1)
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    a1.end()
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == before


@pytest.mark.parametrize("kind", ["bridge", "isolated"])
@pytest.mark.parametrize("firewall", ["nftables", "iptables-legacy"])
def test_a_firewall_that_only_the_user_can_mend(world, firewall, kind):
    if firewall == "nftables":
        world.host.run("nft", "add table inet mine; add chain inet mine gate "
                       "{ type filter hook forward priority 0; policy drop; }")
    else:
        world.host.run("iptables-legacy", "-P", "FORWARD", "DROP")
    group = bridge("vm", "brvm0", "192.168.137.1/24") if kind == "bridge" else {"name": "vm", "network": {"mode": "isolated"}}
    config = world.config("a", group)
    note = world.netrun(config, "a-1", "up", "vm").stdout
    a1 = world.guest(config, "a-1", "vm", 1)
    assert a1.space.ask(INTERNET, reached=False) is None
    commands = [part.strip() for part in note.split("Allow them: ")[1].split(";")[:2]]
    for command in commands:  # what the note says helps
        if firewall == "iptables-legacy":
            assert world.netrun(config, "a-1", "up", "vm").stdout == note, "said until both are done"
        world.host.run(*command.split())
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    assert world.netrun(config, "a-1", "up", "vm").stdout == ""


FIREWALLD = """table inet firewalld {
 chain filter_FORWARD { type filter hook forward priority 10; policy accept; ZONES
 }
}
"""


@pytest.mark.parametrize("kind", ["bridge", "isolated"])
def test_firewalld_is_told_of_until_it_knows(world, kind):
    """Its table as it is without and with the bridge or the range in a zone."""
    if kind == "bridge":
        group, matches = bridge("vm", "brvm0", "192.168.137.1/24"), ('iifname "brvm0"', 'oifname "brvm0"')
    else:
        group = {"name": "vm", "network": {"mode": "isolated", "range": "169.254.60.0/22"}}
        matches = "ip saddr 169.254.60.0/22", "ip daddr 169.254.60.0/22"
    config = world.config("a", group)
    world.host.run("nft", "-f", "-", input=FIREWALLD.replace("ZONES", 'iifname "brvm01" accept'))
    assert "firewall-cmd --permanent --zone=trusted --add-" in world.netrun(config, "a-1", "up", "vm").stdout
    world.host.run("nft", "-f", "-", input="delete table inet firewalld\n" +
                   FIREWALLD.replace("ZONES", "".join(f"\n  {match} accept" for match in matches)))
    assert world.netrun(config, "a-1", "up", "vm").stdout == ""


def test_a_launch_runs_no_program(world, one):
    log = world.dir / "log"
    world.netrun(one, "a-1", "vm", "vm", 1, stdin=subprocess.DEVNULL, prefix=["strace", "-f", "-qq", "-e", "trace=execve", "-o", log])
    assert log.read_text().count("execve(") == 1  # its own
