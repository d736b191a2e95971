# SPDX-License-Identifier: MIT
"""slicer net list and what doctor says and does about leftovers: whose is what, what is stale, and what is left alone."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import struct
import subprocess

import pytest
from slicertest import SLICER, proc
from slicertest.paths import FAKE_VMM
from slicertest.wait import until

NETWORK = {"bridge": "brnv0", "tap_prefix": "nvtap", "gateway": "192.168.77.1/24"}
TABLES = ("ip", "bridge")
RUN = pathlib.Path("/run/slicer")


def slicer(*args, prefix=(), **kwargs):
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLICER_")}
    env["SLICER_FAKE_VMM"] = str(FAKE_VMM)  # or it is no hypervisor in configurations
    return subprocess.run([*prefix, SLICER, *map(str, args)], env=env, capture_output=True, text=True, timeout=60, **kwargs)


def listed(**kwargs):
    done = slicer("net", "list", "--json", **kwargs)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def items(daemon_id, **kwargs):
    """{(kind, name): item} of a daemon."""
    return {(i["kind"], i["name"]): i for i in listed(**kwargs)["items"] if i["daemon"] == daemon_id}


def leftovers(severity):
    done = slicer("doctor", "--json", "--only", "leftovers")
    (result,) = json.loads(done.stdout)
    assert result["severity"] == severity, result
    return result


def sh(script):
    return subprocess.run(["sh", "-ec", script], check=True, capture_output=True, text=True, timeout=60).stdout


def network_state():
    links = sorted(line.split("@")[0].split()[0] for line in sh("ip -br link").splitlines())
    return links, sh("nft list ruleset"), sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []


@pytest.fixture
def bridged(daemon):
    return daemon(group={"network": NETWORK})


def comes_to(state):
    """What goes with a namespace goes when the kernel gets to it, which on a busy machine takes its time."""
    with contextlib.suppress(AssertionError):  # which the comparison then says better
        until(lambda: network_state() == state)
    assert network_state() == state


@pytest.fixture
def clean():
    """The network of this namespace is as it was."""
    before = network_state()
    yield before
    comes_to(before)


def test_a_live_daemons_things(clean, bridged):
    vm = bridged.client.create(bridged.group)["hostname"]
    announced = json.loads((RUN / f"{bridged.id}.json").read_text())
    assert announced == {"config": str(bridged.file.resolve()), "state": str(bridged.state_dir), "api": bridged.address}
    found = items(bridged.id)
    assert {i["status"] for i in found.values()} == {"in use"}
    assert found["interface", "brnv0"]["group"] == bridged.group and found["interface", "brnv0"]["type"] == "bridge"
    tap = next(i for i in found.values() if i["type"] == "tun")
    assert tap["vm"] == vm and tap["name"].startswith("nvtap")
    for family in TABLES:
        assert ("table", f"{family} slicer_{bridged.id}") in found
    ours = [i for i in found.values() if i["kind"] == "element" and i.get("vm") == vm]
    assert {i["name"].split()[2] for i in ours} == {"ports", "macs", "addresses"}
    assert ("element", f"ip slicer_{bridged.id} subnets 192.168.77.0/24") in found
    everything = listed()
    (me,) = [d for d in everything["daemons"] if d["id"] == bridged.id]
    assert me == {"id": bridged.id, "config": str(bridged.file.resolve()), "state_dir": str(bridged.state_dir),
                  "status": "running", "pid": bridged.pid}
    assert "brnv0" in everything["forwarding"]
    text = slicer("net", "list").stdout
    assert f"bridge slicer_{bridged.id} (" in text and "stays" not in text and "leaves it on" in text
    assert not any(line.startswith("element") for line in text.splitlines())
    # Removing what is stale leaves all of it alone.
    before = network_state()
    assert slicer("doctor", "--fix", "--only", "leftovers").returncode == 0
    assert network_state() == before and bridged.client.get(f"/vm/{vm}/health").status == 200
    bridged.client.delete(f"/hostgroup/{bridged.group}/nodes/{vm}")
    assert bridged.stop() == 0
    assert not (RUN / f"{bridged.id}.json").exists()
    assert items(bridged.id) == {} and bridged.id not in str(listed()["daemons"])


def test_a_dead_daemon_whose_vm_runs(clean, bridged):
    vm = bridged.client.create(bridged.group)["hostname"]
    bridged.kill()
    before = network_state()
    found = items(bridged.id)
    assert {i["status"] for i in found.values()} == {"waiting"} and len(found) > 5
    result = leftovers("note")
    assert f"slicer up {bridged.file.resolve()}" in result["fix"][0]
    assert slicer("doctor", "--fix", "--only", "leftovers").returncode == 0
    assert network_state() == before and (RUN / bridged.id / vm).is_dir()
    bridged.start()
    until(lambda: bridged.client.get(f"/vm/{vm}/health").status == 200, 20)


def end_vm(daemon, vm):
    pids = [daemon.monitor_pid(vm), daemon.vmm_pid(vm)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(proc.alive(p) for p in pids), 10)


def test_a_dead_daemon_and_its_dead_vm(clean, bridged):
    vm = bridged.client.create(bridged.group)["hostname"]
    bridged.kill()
    end_vm(bridged, vm)
    found = items(bridged.id)
    assert {i["status"] for i in found.values()} == {"stale"} and ("interface", "brnv0") in found
    result = leftovers("warning")
    assert f"bridge brnv0, of {bridged.group}, of the daemon {bridged.id}" in result["detail"]
    assert any(str(RUN / bridged.id / vm) in line for line in result["detail"])
    done = slicer("doctor", "--fix", "--only", "leftovers")
    assert done.returncode == 0 and f"Removed: bridge brnv0, of {bridged.group}" in done.stdout, done
    comes_to(clean)
    assert not (RUN / bridged.id).exists() and not (RUN / f"{bridged.id}.json").exists()
    # Its records are its own: it comes back and ends what they say.
    assert bridged.record(vm)["hostname"] == vm
    bridged.start()
    until(lambda: bridged.client.nodes() == [], 20)


def test_who_has_the_lock_open_lives(clean, bridged):
    """Between the start of a daemon and its end nothing of it is stale, whatever its run directory says."""
    bridged.kill()
    assert items(bridged.id)["interface", "brnv0"]["status"] == "stale"
    with open(bridged.state_dir / "daemon.lock", "r+b") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        before = network_state()
        assert items(bridged.id)["interface", "brnv0"]["status"] == "in use"
        assert slicer("doctor", "--fix", "--only", "leftovers").returncode == 0
        assert network_state() == before
    bridged.start()


FOREIGN = """
ip tuntap add nvtap7 mode tap
ip tuntap add vt-0123456789 mode tap
ip link add brvm7 type bridge
ip link set brvm7 alias slicer-brvm7
ip link add brvm8 type bridge
ip link set brvm8 alias slicer:../../../tmp:x
ip link add brvm9 type bridge
ip link set brvm9 alias slicer:gone
ip netns add nv-1
nft add table ip slicer
nft add table ip slicerx_gone-1
nft 'add table ip filter; add chain ip filter FORWARD; add rule ip filter FORWARD accept comment "my slicer_gone-1:br"'
"""
FOREIGN_GONE = """
for l in nvtap7 vt-0123456789 brvm7 brvm8 brvm9; do ip link del $l; done
ip netns del nv-1
nft 'delete table ip slicer; delete table ip slicerx_gone-1; delete table ip filter'
"""
ORPHANS = """
ip link add brgone0 type bridge
ip link set brgone0 alias slicer:gone-1a2b3c:gone
ip tuntap add gonetap1 mode tap
ip link set gonetap1 master brgone0 alias slicer:gone-1a2b3c:gone-1
ip netns add gone-2
ip -n gone-2 link set lo alias slicer:gone-1a2b3c:gone-2
ip link add ve-gone type veth peer name eth0 netns gone-2
ip link set ve-gone alias slicer:gone-1a2b3c:gone-2
nft 'add table inet slicer_gone-1a2b3c; add set inet slicer_gone-1a2b3c ports { type ifname; }'
nft 'add element inet slicer_gone-1a2b3c ports { "gonetap1", "gonetap2" }'
nft 'add table ip filter; add chain ip filter FORWARD'
nft 'add rule ip filter FORWARD iifname "brgone0" accept comment "slicer_gone-1a2b3c:brgone0"'
mkdir -p /run/slicer/gone-1a2b3c/gone-1
"""
ORPHANS_GONE = """
ip link del brgone0; ip link del gonetap1; ip link del ve-gone; ip netns del gone-2
nft delete table inet slicer_gone-1a2b3c
nft delete table ip filter
rm -r /run/slicer/gone-1a2b3c
"""


@pytest.fixture
def foreign():
    sh(FOREIGN)
    yield network_state()
    sh(FOREIGN_GONE)


def test_what_is_somebody_elses(clean, foreign):
    assert listed()["items"] == []
    leftovers("ok")
    assert slicer("doctor", "--fix", "--only", "leftovers").returncode == 0
    assert network_state() == foreign


def test_orphans_beside_what_is_not(clean, foreign, bridged):
    vm = bridged.client.create(bridged.group)["hostname"]
    before = network_state()
    sh(ORPHANS)
    orphans = items("gone-1a2b3c")
    assert {i["status"] for i in orphans.values()} == {"stale"}
    assert {("interface", "brgone0"), ("interface", "gonetap1"), ("interface", "ve-gone"), ("netns", "gone-2"),
            ("table", "inet slicer_gone-1a2b3c"), ("element", "inet slicer_gone-1a2b3c ports gonetap2"),
            ("rule", "ip filter FORWARD slicer_gone-1a2b3c:brgone0")} <= set(orphans)
    assert orphans["interface", "ve-gone"]["vm"] == "gone-2" and orphans["interface", "brgone0"]["group"] == "gone"
    done = slicer("doctor", "--fix", "--only", "leftovers")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Removed: ") == len(orphans) + 1, done.stdout  # and the run directory
    assert network_state() == before and not (RUN / "gone-1a2b3c").exists()
    assert bridged.client.get(f"/vm/{vm}/health").status == 200


def test_what_cannot_be_proven_stays(clean):
    """In a pid namespace the daemon that has made it may be one that is not seen."""
    sh(ORPHANS)
    try:
        before = network_state()
        inside = ["unshare", "-pf", "--mount-proc"]
        assert {i["status"] for i in items("gone-1a2b3c", prefix=inside).values()} == {"unknown"}
        slicer("doctor", "--fix", "--only", "leftovers", prefix=inside)
        assert network_state() == before and (RUN / "gone-1a2b3c/gone-1").is_dir()
        # Nor does what somebody has open.
        with contextlib.ExitStack() as stack:
            fd = os.open("/dev/net/tun", os.O_RDWR)
            stack.callback(os.close, fd)
            fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"gonetap1", 0x0002))
            sh("ip link set gonetap1 up")
            slicer("doctor", "--fix", "--only", "leftovers")
            assert items("gone-1a2b3c")["interface", "gonetap1"]["status"] == "unknown"
        slicer("doctor", "--fix", "--only", "leftovers")
    finally:
        subprocess.run(["sh", "-c", ORPHANS_GONE], capture_output=True)


def test_without_root(clean, bridged):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    bridged.client.create(bridged.group)
    done = slicer("net", "list", "--json", prefix=nobody, cwd="/")
    seen = json.loads(done.stdout)
    assert done.returncode == 0 and any("nftables cannot be looked at" in line for line in seen["unseen"])
    assert {i["status"] for i in seen["items"]} == {"unknown"} and len(seen["items"]) == 2
    (result,) = json.loads(slicer("doctor", "--json", "--only", "leftovers", prefix=nobody, cwd="/").stdout)
    assert result["needs_root"] and result["severity"] == "note"


def test_much_that_is_left(clean):
    """Of hundreds of VMs, say: ten of a kind are shown, and JSON has all, each VM's things together."""
    names = [f"gone-{n}" for n in range(1, 31)]
    sh("; ".join(f"ip link add nvg{31 - n} type veth peer name nvp{n}; ip link set nvg{31 - n} alias slicer:gone-1a2b3c:gone-{n};"
                 f"ip link set nvp{n} alias slicer:gone-1a2b3c:gone-{n}" for n in range(1, 31)))
    try:
        assert [i["vm"] for i in listed()["items"]] == [name for name in names for _ in range(2)]
        text = slicer("net", "check").stdout
        assert len(text.splitlines()) == 12 and "gone-1a2b3c: and 50 more (--json has them all)" in text and text.count("→") == 1
        assert len(check()) == 60
        text = slicer("doctor", "--only", "leftovers").stdout
        assert text.count("nvg") + text.count("nvp") == 10 and "and 50 more" in text
        assert len(leftovers("warning")["detail"]) == 60
    finally:
        sh("; ".join(f"ip link del nvg{n}" for n in range(1, 31)))


def check(*args, **kwargs):
    """(exit status, findings)"""
    done = slicer("net", "check", "--json", *args, **kwargs)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] == (done.returncode == 0) == (not said["findings"]), said
    for f in said["findings"]:
        assert f["daemon"] and f["summary"] and f["fix"], f
    return [f["summary"] for f in said["findings"]]


@contextlib.contextmanager
def standing_still(daemon):
    """So that it does not put back what a test takes away."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


BROKEN = {  # what is done: words of what is said; {tap} is the VM's interface, {table} the daemon's
    "ip link set {tap} nomaster": ["interface {tap} is not on the bridge {bridge}"],
    "ip link set {tap} down": ["interface {tap} is down"],
    "ip link set {bridge} down": ["the bridge {bridge} is down"],
    "ip addr flush dev {bridge}": ["{bridge} has not the address {gateway}"],
    "echo 0 > /proc/sys/net/ipv4/conf/{bridge}/forwarding": ["net/ipv4/conf/{bridge}/forwarding is 0, not 1"],
    "echo 0 > /proc/sys/net/ipv4/conf/{bridge}/rp_filter": ["net/ipv4/conf/{bridge}/rp_filter is 0, not 1"],
    "nft delete element bridge {table} ports '{{ \"{tap}\" }}'": ["\"ports {tap}\" is missing"],
    "nft flush set ip {table} subnets": ["\"subnets {subnet}\" is missing"],
    "nft flush ruleset": ["the table ip {table} is missing", "the table bridge {table} is missing", "\"ports {tap}\" is missing"],
    "nft flush table bridge {table}": ["the rules of the table bridge {table} are gone"],
    "ip link set {tap} alias slicer:other-1:vm": ["interface {tap} is missing"],
}
KINDS = {  # a group, and the words of what is made for it and its VM
    "bridge": ({"network": NETWORK}, {"bridge": "brnv0", "gateway": "192.168.77.1/24", "subnet": "192.168.77.0/24"}),
    "slots": ({"slots": {"nvs240": {}, "nvs241": {}}}, {"bridge": "br-nvs241", "gateway": "10.241.0.1/24", "subnet": "10.241.0.0/24"}),
}
FORWARD_DROPS = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }"


@pytest.fixture
def slot_logs():
    """Named before `daemon`, which ends first: a slot's log has its name only, and is kept when it stops."""
    yield
    for log in pathlib.Path("/var/log/slicer").glob("nvs24*"):
        log.unlink()


@pytest.fixture
def grouped(slot_logs, daemon):
    """A daemon with a group as given, which is all that says what its VMs are."""
    def start(group):
        d = daemon(start=False, group=group)
        if "slots" in group:
            for key in ("network", "count", "vcpu", "ram_mb"):
                d.config["host_groups"][0].pop(key, None)
        return d.start()
    return start


def a_vm(d):
    """The last slot, or one that is made."""
    if "slots" not in d.config["host_groups"][0]:
        return d.client.create(d.group)["hostname"]
    until(lambda: {n["status"] for n in d.client.nodes()} == {"Running"}, 20)
    return max(n["hostname"] for n in d.client.nodes())


def mended(daemon, vm, tap):
    """As the daemon itself would make it, at once."""
    daemon.kill()
    sh(f"ip link set {tap} alias slicer:{daemon.id}:{vm}")
    daemon.start()


@pytest.mark.parametrize("kind", KINDS)
def test_check_finds_what_is_missing(clean, grouped, kind):
    group, words = KINDS[kind]
    d = grouped(group)
    vm = a_vm(d)
    tap = next(i["name"] for i in items(d.id).values() if i["type"] == "tun" and i["vm"] == vm)
    words = {**words, "tap": tap, "table": f"slicer_{d.id}"}
    assert check() == [] and check(d.file) == []
    assert "as they should be" in slicer("net", "check").stdout
    for command, expected in BROKEN.items():
        with standing_still(d):
            sh(command.format(**words))
            found = check()
            assert check(d.file) != []
        for sentence in expected:
            assert any(sentence.format(**words) in f for f in found), (command, found)
        mended(d, vm, tap)
        until(lambda: check() == [], 10, f"mended after {command}")
    # A firewall that came later: the next start lets the bridge pass it.
    with standing_still(d):
        sh(f"nft '{FORWARD_DROPS}'")
        assert any(f"let {words['bridge']} pass the chain FORWARD" in f for f in check())
    mended(d, vm, tap)
    assert check() == []
    if kind == "bridge":
        d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}")
    d.stop()
    sh("nft delete table ip filter")


@pytest.mark.parametrize("network", [NETWORK, {"mode": "isolated", "range": "169.254.60.0/22"}], ids=["bridge", "isolated"])
def test_check_of_an_interface_that_is_lost(clean, grouped, network):
    """Nobody can put it back, and what belongs to it is no other thing to mend."""
    d = grouped({"network": network})
    vm = a_vm(d)
    name = next(i["name"] for i in items(d.id).values() if i.get("vm") == vm and i["name"].startswith(("nvtap", "ve-")))
    sh(f"ip link delete {name}")
    found = json.loads(slicer("net", "check", "--json").stdout)["findings"]
    lost = [f for f in found if f["summary"] == f'VM "{vm}": its interface {name} is missing']
    assert len(lost) == 1 and f"slicer vm relaunch {vm}" in lost[0]["fix"], found
    assert not any("half a minute" in f["fix"] for f in found), found
    d.client.remove(vm)
    until(lambda: check() == [])


@pytest.mark.parametrize("setting", ["forwarding", "rp_filter"])
def test_check_of_an_isolated_vms_interface(clean, grouped, setting):
    """Somebody has switched off what a VM's packets need, or what keeps foreign ones out; the daemon's next look mends it."""
    d = grouped({"name": "nviso", "network": {"mode": "isolated", "range": "169.254.60.0/22"}})
    vm = d.client.create("nviso")["hostname"]
    name = next(i["name"] for i in items(d.id).values() if i.get("vm") == vm and i["name"].startswith("ve-"))
    assert check() == []
    with standing_still(d):
        sh(f"echo 0 > /proc/sys/net/ipv4/conf/{name}/{setting}")
        assert check() == [f'VM "{vm}": net/ipv4/conf/{name}/{setting} is 0, not 1']
    d.kill()
    d.start()
    until(lambda: check() == [], 10)
    d.client.delete(f"/hostgroup/nviso/nodes/{vm}")


def test_check_finds_what_an_isolated_group_lacks(clean, grouped):
    """Which has no interface of its own: rules, its range, and what other firewalls let pass."""
    d = grouped({"name": "nviso", "network": {"mode": "isolated", "range": "169.254.60.0/22"}})
    table = f"slicer_{d.id}"
    assert check() == [] and check(d.file) == []
    for command, expected in {
        f"nft flush set ip {table} subnets": "\"subnets 169.254.60.0/22\" is missing",
        f"nft flush table ip {table}": f"the rules of the table ip {table} are gone",
        f"nft delete table ip {table}": f"the table ip {table} is missing",
    }.items():
        with standing_still(d):
            sh(command)
            assert f'host group "nviso": {expected}' in "\n".join(check()), command
        d.kill()
        d.start()
        assert check() == [], command
    with standing_still(d):
        sh(f"nft '{FORWARD_DROPS}'")
        assert any("let 169.254.60.0/22 pass the chain FORWARD" in f for f in check())
    d.kill()
    d.start()
    assert check() == []
    assert d.stop() == 0
    sh("nft delete table ip filter")


IN_THE_WAY = {  # of a daemon that is to come: what is there, what it wants, what is said
    "a slot's bridge": ("ip link add br-nvs241 type bridge", "slots: {nvs240: {}, nvs241: {}}",
                        "slot \"nvs241\": there is an interface br-nvs241, a bridge that slicer did not make"),
    "a slot's subnet": ("ip link add nvway type bridge; ip addr add 10.241.0.9/24 dev nvway", "slots: {nvs240: {}, nvs241: {}}",
                        "overlaps the address 10.241.0.9/24 of nvway"),
    "an isolated range": ("ip link add nvway type bridge; ip addr add 192.168.79.9/24 dev nvway",
                          "network: {mode: isolated, range: 192.168.79.128/26}",
                          "host group \"nv\": network.range 192.168.79.128/26 is in the network of nvway (192.168.79.9/24)"),
    "a bridge": ("ip link add nvway type bridge", "network: {bridge: nvway, gateway: 192.168.79.1/24}",
                 "host group \"nv\": there is an interface nvway, a bridge that slicer did not make"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_check_of_a_file_whose_place_is_taken(clean, tmp_path, case):
    script, group, words = IN_THE_WAY[case]
    path = tmp_path / "coming.yaml"
    path.write_text(f"config:\n  host_groups:\n  - name: nv\n    {group}\n")
    assert check(path) == []
    sh(script)
    try:
        (found,) = check(path)
        assert words in found
    finally:
        subprocess.run(["sh", "-c", "ip link del br-nvs241; ip link del nvway"], capture_output=True)


def test_all_networks_that_cannot_be_are_said_at_once(clean, daemon, tmp_path):
    d = daemon(start=False, group={"network": NETWORK})
    d.config["host_groups"] += [{"name": name, "count": 0, "network": network} for name, network in (
        ("nvb", {"bridge": "brnvb0", "gateway": "192.168.78.1/24"}),
        ("nvc", {"bridge": "brnvc0", "gateway": "192.168.80.1/24"}),
        ("nvd", {"mode": "isolated", "range": "192.168.79.128/26"}))]
    said = (f'network of host group "{d.group}": there is an interface brnv0, a bridge that slicer did not make',
            'network of host group "nvb": the subnet of gateway 192.168.78.1/24 overlaps the address 192.168.78.9/24 of nvway, a bridge',
            'network of host group "nvd": network.range 192.168.79.128/26 is in the network of nvway (192.168.79.9/24)')
    sh("ip link add brnv0 type bridge; ip link add nvway type bridge")
    sh("ip addr add 192.168.78.9/24 dev nvway; ip addr add 192.168.79.9/24 dev nvway")
    try:
        before = network_state()
        code, log = d.fails()
        assert code == 1 and "3 networks cannot be made:" in log and all(f"\n  {words}" in log for words in said), log
        assert network_state() == before
        # One is said as it always was.
        sh("ip link del nvway")
        code, log = d.fails()
        assert code == 1 and f"slicer: error: {said[0]}" in log and "cannot be made" not in log
    finally:
        subprocess.run(["sh", "-c", "ip link del brnv0; ip link del nvway"], capture_output=True)


def test_check_of_a_file(clean, bridged):
    """Of a daemon that is not up: is there room for it? And nothing of others."""
    other = bridged.dir / "other.yaml"
    other.write_text("config:\n  host_groups:\n  - name: nv\n    network:\n      bridge: brnv0\n      gateway: 192.168.78.1/24\n")
    (found,) = check(other)
    assert "brnv0" in found and f"daemon {bridged.id}" in found
    other.write_text(other.read_text().replace("brnv0", "brnv1"))
    assert check(other) == []
    sh(ORPHANS)
    try:
        assert check(other) == [] and len(check()) >= 8
        done = slicer("net", "check", "--fix", other)
        assert done.returncode == 0 and "Removed" not in done.stdout and len(check()) >= 8
        done = slicer("net", "check", "--fix")
        assert done.returncode == 0 and done.stdout.count("Removed") >= 8 and check() == []
        sh("nft delete table ip filter")
    finally:
        subprocess.run(["sh", "-c", ORPHANS_GONE], capture_output=True)
    assert slicer("net", "check", bridged.dir / "none.yaml").returncode == 1
    other.write_text("config: 3\n")
    assert slicer("net", "check", other).returncode == 2


def test_check_of_a_dead_daemon(clean, bridged):
    vm = bridged.client.create(bridged.group)["hostname"]
    bridged.kill()
    assert check() == []
    sh("ip link set brnv0 down")
    assert any("is down" in f for f in check())
    end_vm(bridged, vm)
    assert any("bridge brnv0" in f and "nobody uses it" in f for f in check(bridged.file))
    assert slicer("net", "check", "--fix", bridged.file).returncode == 0
    comes_to(clean)
    bridged.start()


def test_check_needs_root():
    done = slicer("net", "check", prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], cwd="/")
    assert done.returncode == 1 and "sudo" in done.stderr


@pytest.fixture
def parent():
    sh("ip link add nvlan0 type veth peer name nvlan1; ip link set nvlan0 up; ip link set nvlan1 up")
    yield "nvlan0"
    sh("ip link del nvlan0")


def test_what_other_modes_make(clean, parent, daemon):
    """Nothing of a mode need be known: macvtap, by its alias."""
    d = daemon(group={"network": {"mode": "macvtap", "parent": parent, "gateway": "192.168.79.1/24"}})
    vm = d.client.create(d.group)["hostname"]
    (item,) = items(d.id).values()
    assert item["type"] == "macvtap" and item["vm"] == vm and item["status"] == "in use"
    assert check() == [] and check(d.file) == []
    with standing_still(d):
        sh(f"ip link set {item['name']} down")
        assert any(f"interface {item['name']} is down" in f for f in check())
        sh(f"ip link set {item['name']} up")
    d.kill()
    end_vm(d, vm)
    assert {i["status"] for i in items(d.id).values()} == {"stale"}
    assert slicer("net", "check", "--fix").returncode == 0
    until(lambda: items(d.id) == {})
    d.start()
    until(lambda: d.client.nodes() == [], 20)


def test_isolated_networks(clean, daemon):
    """A namespace per VM with a tap in it, and the host's end of a pair of interfaces."""
    d = daemon(group={"name": "nviso", "network": {"mode": "isolated"}})
    vm = d.client.create("nviso")["hostname"]
    found = items(d.id)
    assert {i["status"] for i in found.values()} == {"in use"} and ("netns", vm) in found
    assert {i["type"] for i in found.values() if i.get("netns") == vm} == {"tun", "veth"}
    (veth,) = [i["name"] for i in found.values() if i["type"] == "veth" and "netns" not in i]
    assert veth.startswith("ve-") and check() == [] and check(d.file) == []
    text = slicer("net", "list").stdout
    assert re.search(rf"^netns +{vm} \(2 interfaces\) .* in use$", text, re.M) and f" in {vm}" not in text
    assert "1 interface of VMs" in text and f", {veth}" not in text
    with standing_still(d):
        sh(f"ip link set {veth} down")
        assert any(f"interface {veth} is down" in f for f in check())
        sh(f"ip link set {veth} up")
    d.kill()
    end_vm(d, vm)
    assert {i["status"] for i in items(d.id).values()} == {"stale"}
    assert slicer("net", "check", "--fix").returncode == 0
    until(lambda: items(d.id) == {})
    d.start()
    until(lambda: d.client.nodes() == [], 20)
