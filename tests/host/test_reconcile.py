# SPDX-License-Identifier: MIT
"""What a running daemon makes of what changes behind its back: what is ours and orphaned goes, what a VM needs comes back,
and what is not ours stays."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest
from slicertest import FAKE_VMM, alive, run, until
from slicertest.daemon import LOG
from slicertest.truth import wait_for_truth

OFTEN = {"SLICER_RECONCILE_MS": "100"}
BRIDGE, TAP = "brrec0", "rectap"
CGROUPS = [pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")]


def statuses(d):
    return {n["hostname"]: n["status"] for n in d.client.nodes()}


def looks(d, n=3):
    """Waits until it has looked again: something that is certainly removed is put there each time."""
    for _ in range(n):
        stray = d.run_dir / f"{d.group}-999"
        stray.mkdir()
        until(lambda: not stray.exists() and stray.name not in statuses(d), 10, "a look")


def cgroup_top():
    return next(r for r in CGROUPS if (r / "cgroup.controllers").exists()) / "slicer"


def joins(process, group):
    """What is above the group goes with the last one below, which may be that of another part of the tests; and the group itself, as
    long as nobody is in it, when the daemon looks."""
    with contextlib.suppress(OSError):
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text(str(process.pid))
        return True


@contextlib.contextmanager
def stray_process(group):
    """A process in a control group of its own."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            until(lambda: joins(process, group))
            yield process
        finally:
            process.kill()
            process.wait()
            if group.exists():
                until(lambda: not (group / "cgroup.procs").read_text(), 5)
                group.rmdir()
                group.parent.rmdir()


def put(place, path, name):
    """A directory with a file of that name, there at once: an empty one is removed when the daemon looks. place: of the same
    filesystem, at which it does not look."""
    (place / "coming").mkdir()
    (place / "coming" / name).write_text("precious")
    path.parent.mkdir(exist_ok=True)
    (place / "coming").rename(path)


def test_orphans_of_ours_go(daemon):
    d = daemon(env=OFTEN)
    vm = d.client.create(d.group)["hostname"]
    name = f"{d.group}-77"
    put(d.run_dir.parent, d.run_dir / name, "leftover")
    (d.state_dir / "vms" / name).mkdir()
    with stray_process(cgroup_top() / d.id / name) as process:
        assert process.wait(60) == -signal.SIGKILL
        until(lambda: not (cgroup_top() / d.id / name).exists(), 10)
    until(lambda: not (d.run_dir / name).exists() and not (d.state_dir / "vms" / name).exists(), 10)
    until(lambda: statuses(d) == {vm: "Running"}, 10)
    assert f"[{name}] is no VM of this daemon any more" in d.log_text()
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"
    wait_for_truth(d, 5)


def test_a_vm_whose_records_somebody_removed_from_under_a_dead_daemon(daemon):
    """Its processes are found by what they have in /run, and ended."""
    d = daemon(env=OFTEN)
    vm = d.client.create(d.group)["hostname"]
    monitor, vmm = d.monitor_pid(vm), d.vmm_pid(vm)
    d.kill()
    shutil.rmtree(d.state_dir / "vms" / vm)
    d.start()
    until(lambda: not alive(monitor) and not alive(vmm), 15, "it is ended")
    until(lambda: statuses(d) == {}, 10)
    wait_for_truth(d, 5)
    for log in LOG.glob(f"{vm}.txt*"):  # stays: another daemon may have a VM of that name
        log.unlink()


def test_what_is_not_ours_stays(daemon):
    d = daemon(env=OFTEN)
    other = pathlib.Path("/run/slicer/other-123456")
    foreign = d.run_dir / "not a vm"
    precious = d.state_dir / "vms" / f"{d.group}-88"
    record = d.state_dir / "vms" / f"{d.group}-89"
    try:
        (other / f"{d.group}-5").mkdir(parents=True)
        foreign.mkdir()
        put(d.dir, precious, "disk.qcow2")
        put(d.dir, record, "record.json")
        with stray_process(cgroup_top() / "other-123456" / f"{d.group}-5") as process:
            looks(d)
            assert process.poll() is None
        assert (other / f"{d.group}-5").exists() and foreign.exists()
        assert (precious / "disk.qcow2").read_text() == (record / "record.json").read_text() == "precious"
        assert d.log_text().count(f"{precious} has come from elsewhere") == 1, "said once"
        # Nor are their names given away; and the next daemon thinks the same of them.
        assert d.client.create(d.group)["hostname"] not in (precious.name, record.name)
        d.kill()
        d.start()
        assert (precious / "disk.qcow2").read_text() == (record / "record.json").read_text() == "precious"
    finally:
        for path in (other, foreign, precious, record):
            shutil.rmtree(path, ignore_errors=True)


def test_a_record_that_was_removed_is_written_again(daemon):
    d = daemon(env=OFTEN)
    vm = d.client.create(d.group)["hostname"]
    before = d.record(vm)
    (d.state_dir / "vms" / vm).rename(d.dir / "away")  # at once: what is half removed would be written into
    shutil.rmtree(d.dir / "away")
    path = d.state_dir / "vms" / vm / "record.json"
    until(path.exists, 10)
    assert json.loads(path.read_text()) == {k: v for k, v in before.items() if k in json.loads(path.read_text())}
    d.kill()
    d.start()
    assert statuses(d) == {vm: "Running"} and d.vmm_pid(vm) == before["vmm_pid"]


def test_a_run_directory_that_was_removed(daemon):
    """The VM goes on; what its stop would have found there is found by name."""
    d = daemon(env=OFTEN)
    vm = d.client.create(d.group, persistent=True)["hostname"]
    shutil.rmtree(d.run_dir / vm)
    looks(d)
    assert statuses(d) == {vm: "Running"} and run(d.client, vm, "echo", "well").stdout == b"well\n"
    assert d.client.post(f"/vm/{vm}/shutdown").status == 200
    assert not (cgroup_top() / d.id / vm).exists()
    wait_for_truth(d, 5)


def test_a_service_that_could_not_start_is_tried_again(daemon, tmp_path):
    """Its hypervisor is not there for a while. One that somebody shuts down stays down."""
    hypervisor = tmp_path / "hypervisor"
    hypervisor.symlink_to(FAKE_VMM)
    d = daemon(env={**OFTEN, "SLICER_FAKE_VMM": str(hypervisor)}, group={"count": 1})
    vm = f"{d.group}-1"
    until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 30, "it runs")
    assert d.client.post(f"/vm/{vm}/shutdown").status == 200
    looks(d)
    assert statuses(d)[vm] == "Stopped" and "trying again" not in d.log_text()
    hypervisor.unlink()
    d.client.post(f"/vm/{vm}/relaunch")
    until(lambda: f"[{vm}] could not start before: trying again" in d.log_text(), 30, "it is tried again")
    hypervisor.symlink_to(FAKE_VMM)
    until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 30, "it runs again")


def test_a_service_that_could_not_be_made_anew_is_tried_again(daemon, tmp_path):
    """A daemon finds it half deleted, and what it is made from is not there when that is finished."""
    userdata = tmp_path / "userdata"
    userdata.write_text("true\n")
    d = daemon(env={**OFTEN, "SLICER_FAULT": "delete.kill:kill"}, group={"count": 1, "userdata_file": str(userdata)})
    vm = f"{d.group}-1"
    until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 30, "it runs")
    d.process.send_signal(signal.SIGTERM)
    d.process.wait(60)
    d.process = None
    del d.env["SLICER_FAULT"]
    (d.run_dir / vm).mkdir()
    with socket.socket(socket.AF_UNIX) as monitor:  # whose answer it waits for, before it goes on
        monitor.bind(str(d.run_dir / vm / "monitor.sock"))
        monitor.listen()
        monitor.settimeout(60)
        d.start()
        asked = monitor.accept()[0]
        userdata.unlink()
        asked.close()
    until(lambda: f"[{vm}] cannot be made anew: " in d.log_text(), 30)
    looks(d)
    assert vm not in statuses(d)
    assert d.log_text().count("services: ") == 1, "it is said once"
    userdata.write_text("true\n")
    until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 30, "it is there again")
    until(lambda: "services: is as it should be again" in d.log_text(), 10)


def test_what_could_not_be_deleted_is_deleted_later(daemon):
    """A mount in its directory keeps it; when that is gone, nobody need ask again."""
    d = daemon(env=OFTEN)
    vm = d.client.create(d.group)["hostname"]
    inside = d.run_dir / vm / "mounted"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", inside], check=True)
    try:
        assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}").status == 500
        assert "mount point" in d.client.node(vm)["last_error"]
    finally:
        subprocess.run(["umount", inside], check=True)
    until(lambda: statuses(d) == {}, 10, "it is gone")
    wait_for_truth(d, 5)


def test_a_delete_that_fails_is_told_of_and_can_be_asked_for_again(daemon):
    """By who asked, by the list, and when it is gone after all."""
    d = daemon(env={"SLICER_RECONCILE_MS": "0"})
    vm = d.client.create(d.group, persistent=True)["hostname"]
    inside = d.run_dir / vm / "mounted"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "test", inside], check=True)
    try:
        failed = d.cli("vm", "delete", vm)
        assert failed.returncode == 1 and b"mount point" in failed.stderr
        d.kill()
        d.start()
        until(lambda: statuses(d) == {vm: "Stopped"}, 20, "the next daemon has tried it, too")
        listed = d.cli("vm", "list")
        assert listed.returncode == 0 and vm.encode() in listed.stdout and b"mount point" not in listed.stdout
        assert listed.stderr.decode() == f"slicer: {vm}: {d.client.node(vm)['last_error']}\n" and b"mount point" in listed.stderr
    finally:
        subprocess.run(["umount", inside], check=True)
    d.cli.ok("vm", "delete", vm)
    assert statuses(d) == {} and d.cli("vm", "list").stderr == b""
    again = d.cli("vm", "delete", vm)
    assert (again.returncode, again.stderr.decode()) == (1, f'slicer: error: there is no VM "{vm}" any more: it was deleted\n')


def test_a_delete_that_gets_stuck_leaves_no_disk_without_a_record(daemon):
    """Such a disk would be left to its owner. What is in the way are mounts, of which one is met before the disk at least."""
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    state = d.state_dir / "vms" / vm
    (state / "disk.qcow2").touch()
    inside = [state / f"mounted{n}" for n in range(8)]
    for place in inside:
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "test", place], check=True)
    try:
        assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}").status == 500
        assert not (state / "disk.qcow2").exists()
    finally:
        for place in inside:
            subprocess.run(["umount", place], check=True)
    d.kill()
    d.start()
    until(lambda: statuses(d) == {}, 10, "it is gone")
    assert not state.exists()
    wait_for_truth(d, 5)


def test_a_launch_that_could_not_be_undone_is_undone_later(daemon, tmp_path):
    """What is left of it stays listed, so that its name and its users are taken, and goes when it can."""
    hypervisor, go = tmp_path / "hypervisor", tmp_path / "go"
    hypervisor.write_text(f"#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.02; done\nexit 1\n")
    hypervisor.chmod(0o755)
    d = daemon(env=OFTEN)
    d.env["SLICER_FAKE_VMM"] = str(hypervisor)
    d.kill()
    d.start()
    vm = f"{d.group}-1"
    inside = d.run_dir / vm / "mounted"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(d.client.post, f"/hostgroup/{d.group}/nodes", json={})
        until(lambda: (d.run_dir / vm / "monitor.sock").exists(), 20)
        inside.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "test", inside], check=True)
        try:
            go.touch()
            assert asked.result().status >= 500
            until(lambda: "mount point" in d.client.node(vm).get("last_error", ""), 20)
            looks(d)
            assert set(statuses(d)) == {vm}
        finally:
            subprocess.run(["umount", inside], check=True)
    until(lambda: statuses(d) == {}, 10, "it is gone")
    wait_for_truth(d, 5)


# --- bridges

@pytest.fixture
def bridged(space, daemon):
    return daemon(env=OFTEN, prefix=space.prefix, group={"network": {"bridge": BRIDGE, "tap_prefix": TAP, "gateway": "10.77.3.1/24"}})


LAUNCHED = {"bridge": {"bridge": BRIDGE, "tap_prefix": TAP, "gateway": "10.77.3.1/24"}, "isolated": {"mode": "isolated"}}


@pytest.mark.parametrize("mode, harm", [("bridge", "nft flush ruleset"), ("bridge", "nft flush table bridge TABLE"),
                                        ("bridge", "nft flush chain bridge TABLE guard"), ("bridge", f"ip link del {BRIDGE}"),
                                        ("isolated", "nft flush ruleset"), ("isolated", "nft flush table ip TABLE")])
def test_a_launch_makes_what_its_group_lacks(space, daemon, mode, harm):
    """Where nobody looks by himself the VM is there, and guarded as ever."""
    d = daemon(env={"SLICER_RECONCILE_MS": "0"}, prefix=space.prefix, group={"network": LAUNCHED[mode]})
    d.client.create(d.group)
    good = space.rules()
    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{d.group}-1").status == 200
    space.run(*harm.replace("TABLE", f"slicer_{d.id}").split())
    assert space.rules() != good
    made = d.client.create(d.group)
    assert made["hostname"] == f"{d.group}-1" and space.rules() == good


@pytest.mark.parametrize("mode, harm", [("bridge", "nft flush ruleset"), ("bridge", "nft flush table bridge TABLE"),
                                        ("bridge", "nft flush chain bridge TABLE guard"), ("bridge", "nft delete table ip TABLE"),
                                        ("isolated", "nft flush ruleset"), ("isolated", "nft flush table ip TABLE")])
def test_running_vms_have_their_rules_back_at_once(space, daemon, mode, harm):
    """The kernel tells the daemon, whose next look is an hour away; those of others are no business of its."""
    d = daemon(env={"SLICER_RECONCILE_MS": "3600000"}, prefix=space.prefix, group={"network": LAUNCHED[mode]})
    d.client.create(d.group)
    good = space.rules()
    os.kill(d.pid, signal.SIGSTOP)
    try:
        space.run(*harm.replace("TABLE", f"slicer_{d.id}").split())
        assert space.rules() != good
    finally:
        os.kill(d.pid, signal.SIGCONT)
    until(lambda: sorted(space.rules().splitlines()) == sorted(good.splitlines()), 20, "the rules are back")
    until(lambda: d.log_text().count("they are back") == 1, 10, "it is told")


# Where `hold` is, it stays when it has done what a script says, until `go` is there.
NFT = """#!/bin/sh
/usr/sbin/nft "$@" || exit
[ "$1" = -f ] && mv HERE/hold HERE/held 2>/dev/null || exit 0
until [ -e HERE/go ]; do sleep 0.02; done
"""


@pytest.mark.parametrize("mode", LAUNCHED)
def test_rules_that_are_removed_while_they_come_back(space, daemon, tmp_path, mode):
    """A firewall that is reloaded may flush more than once: what a look has just made is gone again, and the next one far away."""
    nft = tmp_path / "bin/nft"
    nft.parent.mkdir()
    nft.write_text(NFT.replace("HERE", str(tmp_path)))
    nft.chmod(0o755)
    d = daemon(env={"SLICER_RECONCILE_MS": "3600000", "PATH": f"{nft.parent}:{os.environ['PATH']}"}, prefix=space.prefix,
               group={"network": LAUNCHED[mode]})
    d.client.create(d.group)
    good = space.rules()
    (tmp_path / "hold").touch()
    space.run("nft", "flush", "ruleset")
    until((tmp_path / "held").exists, what="the daemon makes them anew")
    space.run("nft", "flush", "ruleset")
    (tmp_path / "go").touch()
    until(lambda: sorted(space.rules().splitlines()) == sorted(good.splitlines()), what="the rules are back")


def test_another_uplink(space, daemon):
    """What comes in by it is passed on from the next look on, not only from the tenth; that look is one for which rules were removed."""
    d = daemon(env={"SLICER_RECONCILE_MS": "3600000"}, prefix=space.prefix, group={"network": LAUNCHED["bridge"]})
    space.run("sh", "-ec", "echo 0 > /proc/sys/net/ipv4/conf/default/forwarding; ip link add up0 type veth peer name up1;"
              "ip addr add 203.0.113.2/24 dev up0; ip link set up1 up; ip link set up0 up; ip route add default via 203.0.113.1")

    def forwarding(name):
        return space.run("cat", f"/proc/sys/net/ipv4/conf/{name}/forwarding").strip()

    assert forwarding("up0") == "0"
    space.run("nft", "flush", "chain", "bridge", f"slicer_{d.id}", "guard")
    until(lambda: forwarding("up0") == "1", 20)
    assert forwarding("up1") == "0", "no route leads there"


def test_rules_and_links_come_back(space, bridged):
    d = bridged
    vm = d.client.create(d.group)["hostname"]
    good = space.rules()
    assert f'"{TAP}1" . 10.77.3.2' in good
    table = f"slicer_{d.id}"
    for harm in (["nft", "flush", "ruleset"], ["nft", "flush", "table", "bridge", table], ["nft", "flush", "chain", "bridge", table, "guard"],
                 ["nft", "delete", "element", "bridge", table, "addresses", "{", f'"{TAP}1"', ".", "10.77.3.2", "}"],
                 ["ip", "link", "set", f"{TAP}1", "nomaster"], ["ip", "link", "set", f"{TAP}1", "down"],
                 ["ip", "link", "set", BRIDGE, "down"], ["ip", "addr", "flush", "dev", BRIDGE], ["ip", "link", "del", BRIDGE]):
        space.run(*harm)

        def mended():
            links = {link["ifname"]: link for link in json.loads(space.run("ip", "-j", "addr"))}
            tap, bridge = links[f"{TAP}1"], links.get(BRIDGE)
            return (bridge and "UP" in bridge["flags"] and bridge["addr_info"] and tap.get("master") == BRIDGE and
                    "UP" in tap["flags"] and space.rules() == good)
        until(mended, 20, f"after {harm}")
    assert "something else had removed its bridge or rules; they are back" in d.log_text()
    assert statuses(d) == {vm: "Running"}


def test_a_tap_that_is_gone_is_told_of_once(space, bridged):
    d = bridged
    vm = d.client.create(d.group)["hostname"]
    space.run("ip", "link", "del", f"{TAP}1")
    until(lambda: f"its interface {TAP}1 is gone" in d.log_text(), 10)
    looks(d)
    assert d.log_text().count(f"its interface {TAP}1 is gone") == 1
    assert statuses(d) == {vm: "Running"}, "it runs, and is reached by its agent"
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"


def test_taps_of_nobody(space, bridged):
    """Ours without a VM goes with its rules; a stranger's of a like name, or another daemon's, stays."""
    d = bridged
    table = f"slicer_{d.id}"
    good = space.rules()
    for name, alias in ((f"{TAP}9", f"slicer:{d.id}:{d.group}-9"), (f"{TAP}8", f"slicer:other-123456:{d.group}-8"), (f"{TAP}7", "")):
        space.run("ip", "tuntap", "add", name, "mode", "tap")
        if alias:
            space.run("ip", "link", "set", name, "alias", alias)
    space.run("nft", "-f", "-", input=f"""
        add element bridge {table} ports {{ "{TAP}9" }}
        add element bridge {table} macs {{ "{TAP}9" . 02:00:00:00:00:01 }}
        add element bridge {table} addresses {{ "{TAP}9" . 10.77.3.10 }}""")
    until(lambda: f"{TAP}9" not in space.links(), 10)
    until(lambda: space.rules() == good, 5)
    looks(d)
    links = space.links()
    assert f"{TAP}8" in links and f"{TAP}7" in links


def link_names(space):
    return {link["ifname"] for link in json.loads(space.run("ip", "-j", "link"))}


@pytest.mark.parametrize("kind", ["veth", "macvtap"])
def test_links_of_nobody(space, bridged, kind):
    d = bridged
    vm = d.client.create(d.group)["hostname"]
    ours, other, foreign, unnamed, someones = "xours", "xother", "xforeign", "xunnamed", "xsome"
    marks = {ours: f"slicer:{d.id}:{d.group}-9", other: f"slicer:other-123456:{d.group}-9", foreign: f"{d.id}:{d.group}-9",
             unnamed: f"slicer:{d.id}:", someones: f"slicer:{d.id}:{vm}"}
    for name, mark in marks.items():
        veth = f"{name}d" if kind == "macvtap" else name
        space.run("ip", "link", "add", veth, "type", "veth", "peer", "name", f"{name}p")
        if kind == "macvtap":
            space.run("ip", "link", "add", "link", veth, "name", name, "type", "macvtap")
        space.run("ip", "link", "set", name, "alias", mark)
    until(lambda: ours not in link_names(space), 10)
    looks(d)
    assert set(marks) - {ours} <= link_names(space), "what is another's, nobody's, or a VM's stays"
    assert statuses(d) == {vm: "Running"}


def test_bridges_of_nobody(space, daemon):
    """Of a group that has left the configuration: ours go once no VM is on them, and the tables stay for whom they are to guard."""
    d = daemon(env=OFTEN, prefix=space.prefix, group={"name": "reciso", "network": {"mode": "isolated"}})
    good = space.rules()
    marks = {BRIDGE: f"slicer:{d.id}:old", "xother": "slicer:other-123456:x", "xforeign": "slicer-bridge"}
    space.run("ip", "tuntap", "add", TAP, "mode", "tap")
    space.run("ip", "link", "set", TAP, "alias", "slicer:other-123456:x-1")
    for name, mark in marks.items():
        space.run("ip", "link", "add", name, "type", "bridge")
        if name == BRIDGE:
            space.run("ip", "link", "set", TAP, "master", BRIDGE)
        space.run("ip", "link", "set", name, "alias", mark)
    looks(d, 4)
    assert set(marks) <= link_names(space), "an interface of a VM is on ours"
    space.run("ip", "link", "del", TAP)
    until(lambda: BRIDGE not in link_names(space), 10)
    until(lambda: f"bridge {BRIDGE} is of no group of the configuration any more" in d.log_text(), 5)
    looks(d)
    assert set(marks) - {BRIDGE} <= link_names(space) and space.rules() == good
    assert d.log_text().count(f"bridge {BRIDGE}") == 1
    d.client.create("reciso")


def elements(space, family, table):
    listed = json.loads(space.run("nft", "-j", "list", "table", family, table))["nftables"]
    held = {(o[kind]["name"], str(e)) for o in listed for kind in ("set", "map") if kind in o for e in o[kind].get("elem", [])}
    return held | {("limit", o["limit"]["name"]) for o in listed if "limit" in o}


def test_rules_of_nobody(space, bridged):
    """Elements that name an interface which is gone, as a crash between two steps leaves them."""
    d = bridged
    vm, other = (d.client.create(d.group)["hostname"] for _ in range(2))
    table = f"slicer_{d.id}"
    space.run("ip", "link", "del", f"{TAP}2")  # of a VM that runs
    until(lambda: f"its interface {TAP}2 is gone" in d.log_text(), 10)
    good = {family: elements(space, family, table) for family in ("ip", "bridge")}
    assert any(f"{TAP}2" in text for _, text in good["bridge"]) and any(BRIDGE in text for _, text in good["ip"])
    alike = f"""
        add table ip slicer_other-123456
        add set ip slicer_other-123456 isolated {{ type ifname; }}
        add element ip slicer_other-123456 isolated {{ "gone0" }}
        add table bridge mine
        add set bridge mine ports {{ type ifname; elements = {{ "gone1" }} }}"""
    space.run("nft", "-f", "-", input=f"""{alike}
        add limit bridge {table} gone1/bytes_in {{ rate over 65536 bytes/second ; }}
        add element bridge {table} bytes_in {{ "gone1" : "gone1/bytes_in" }}
        add element bridge {table} ports {{ "gone1", "lo" }}
        add element bridge {table} macs {{ "gone1" . 02:00:00:00:00:01 }}
        add element bridge {table} addresses {{ "gone1" . 10.77.3.99, "gone2" . 10.77.3.98 }}
        add element ip {table} isolated {{ "gone0" }}
        add element ip {table} addresses {{ "gone0" . 169.254.7.2 }}""")
    good["bridge"].add(("ports", "lo"))  # is there
    until(lambda: {family: elements(space, family, table) for family in good} == good, 20)
    until(lambda: all(f"interface gone{n} is gone" in d.log_text() for n in range(3)), 5)
    assert elements(space, "ip", "slicer_other-123456") == {("isolated", "gone0")}
    assert elements(space, "bridge", "mine") == {("ports", "gone1")}
    assert statuses(d) == {vm: "Running", other: "Running"}
    space.run("nft", "delete", "table", "ip", "slicer_other-123456")
    space.run("nft", "delete", "table", "bridge", "mine")
    d.client.remove(other)
    assert not any(f"{TAP}2" in text for _, text in elements(space, "bridge", table))
