# SPDX-License-Identifier: MIT
"""CNI with Debian's plugins, and with hostile ones. The VMs are of the fake hypervisor; namespaces and interfaces are real."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest
from slicertest import SLICER, Daemon, UpFailed, alive, find_processes, until
from slicertest.cni import BRIDGE_LIST, PTP_LIST, cni_host

HOSTILE = """#!/bin/sh
input=$(cat)
[ $CNI_COMMAND = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' && exit
[ $CNI_COMMAND = ADD ] || exit 0
case "$input" in
*'"x":"garbage"'*) echo '<html>' ;;
*'"x":"nothing"'*) ;;
*'"x":"fails"'*) echo '{"cniVersion":"1.0.0","code":11,"msg":"try again later"}'; exit 1 ;;
*'"x":"noaddress"'*) echo '{"cniVersion":"1.0.0","interfaces":[]}' ;;
*'"x":"badaddress"'*) echo '{"cniVersion":"1.0.0","ips":[{"address":"999.1.1.1/24"}]}' ;;
*'"x":"nointerface"'*) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.93.0.2/24"}]}' ;;
*'"x":"flood"'*) yes ;;
*'"x":"hangs"'*) exec sleep 100 ;;
esac
"""


@pytest.fixture(scope="module")
def host(store):
    with cni_host() as one:
        yield one


@pytest.fixture
def clean(host):
    """The directory of lists is empty before, and nothing of a VM is left after."""
    host.run("sh", "-c", "rm -f /etc/cni/net.d/*")

    def state():
        found = host.state()
        return {**found, "links": [name for name in found["links"] if name not in ("cnitest0", "slicer-cni0")]}
    before = state()
    yield
    with contextlib.suppress(AssertionError):  # which the comparison then says better
        until(lambda: state() == before, what="the kernel has removed what goes with a namespace")
    assert state() == before


def cni(host, directory, network, plugins=None, **config):
    env = {"SLICER_RECONCILE_MS": "200", **({"CNI_PATH": str(plugins)} if plugins else {})}
    d = Daemon(directory, prefix=host.prefix_in(directory), env=env, config={"network_name": network, **config})
    del d.config["host_groups"][0]["network"]
    return d


def inside(host, vm, *words):
    return host.run("ip", "netns", "exec", vm, *words)


def delete(d, vm):
    assert d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}").status == 200


def test_the_default_network_is_written_and_works(host, clean, tmp_path):
    with cni(host, tmp_path, "slicer") as d:
        assert json.loads(host.run("cat", "/etc/cni/net.d/51-slicer.conflist"))["name"] == "slicer"
        made = d.client.create(d.group)
        vm = made["hostname"]
        node = d.client.nodes()[0]
        assert node["ip"].startswith("10.63.") and node["mac"]
        links = inside(host, vm, "ip", "-br", "link")
        assert "br0" in links and "tap0" in links and "eth0" in links
        assert inside(host, vm, "cat", "/proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "8"
        assert node["mac"] not in links, "the guest has the plugins' address, and nobody else"
        assert host.state()["cache"]
        delete(d, vm)
    with cni(host, tmp_path / "again", "slicer"):  # what is there stays as it is
        assert host.run("ls", "/etc/cni/net.d").split() == ["51-slicer.conflist"]


def test_a_users_list_is_honoured_and_vms_survive_the_daemon(host, clean, tmp_path):
    host.put("10-test.conflist", BRIDGE_LIST)
    with cni(host, tmp_path, "test") as d:
        vms = [d.client.create(d.group)["hostname"] for _ in range(2)]
        addresses = {n["hostname"]: n["ip"] for n in d.client.nodes()}
        assert sorted(addresses.values()) == ["10.91.0.2", "10.91.0.3"]
        d.kill()
        host.run("rm", "/etc/cni/net.d/10-test.conflist")  # DEL goes by what ADD had
        host.put("20-test.conflist", {**BRIDGE_LIST, "plugins": [{"type": "ptp"}]})
        d.start()
        until(lambda: {n["hostname"]: n["ip"] for n in d.client.nodes()} == addresses, 10)
        for vm in vms:
            delete(d, vm)


def test_ptp_has_everybody_behind_the_gateway(host, clean, tmp_path):
    host.put("10-ptp.conflist", PTP_LIST)
    with cni(host, tmp_path, "ptp") as d:
        vm = d.client.create(d.group)["hostname"]
        assert d.client.nodes()[0]["ip"] == "10.92.0.2"
        assert "10.92.0.2" in host.run("ip", "route")
        delete(d, vm)


def test_a_masquerade_that_is_gone_keeps_no_vm(host, clean, tmp_path):
    """Somebody flushed it, or ADD was killed before it came to it: Debian's plugins and iptables fail to agree on that."""
    host.run("sh", "-c", "cat > /etc/cni/net.d/ptp.conflist", input=json.dumps(PTP_LIST))
    with cni(host, tmp_path, "ptp") as d:
        vm = d.client.create(d.group, wait=None)["hostname"]
        chains = {word for line in host.run("iptables-save", "-t", "nat").splitlines() for word in line.split()
                  if vm in line and word.startswith("CNI-")}
        assert len(chains) == 1
        host.run("iptables", "-t", "nat", "-F", "POSTROUTING")
        host.run("iptables", "-t", "nat", "-F", *chains)
        host.run("iptables", "-t", "nat", "-X", *chains)
        delete(d, vm)
        assert d.client.nodes() == []


@pytest.mark.parametrize("what, says", [
    ("garbage", "answer"), ("nothing", "answered nothing"), ("fails", "try again later"), ("noaddress", "no IPv4 address"),
    ("nointerface", "eth0"), ("flood", "more than"), pytest.param("hangs", "no end within 30000 ms", marks=pytest.mark.full),
])
def test_hostile_plugins_undo_the_launch(host, clean, tmp_path, what, says):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "hostile").write_text(HOSTILE)
    (plugins / "hostile").chmod(0o755)
    host.put("10-h.conflist", {"cniVersion": "1.0.0", "name": "h", "plugins": [{"type": "hostile", "x": what}]})
    with cni(host, tmp_path / "d", "h", plugins) as d:
        answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
        assert answer.status >= 400 and says in answer.json["error"], answer
        assert d.client.nodes() == []


def hostile_plugins(directory):
    plugins = directory / "plugins"
    plugins.mkdir()
    (plugins / "hostile").write_text(HOSTILE)
    (plugins / "hostile").chmod(0o755)
    return plugins


@pytest.mark.parametrize("what, says", [("noaddress", "no IPv4 address"), ("badaddress", "999.1.1.1")])
def test_an_answer_without_sense_takes_nothing_along(host, clean, tmp_path, what, says):
    """What `firewall` has made, it deletes by the answer that it was given; who answers nonsense is told of, and not who reads it."""
    chain = {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], {"type": "hostile", "x": what}]}
    assert "firewall" in [plugin["type"] for plugin in chain["plugins"]]
    host.put("10-test.conflist", chain)
    with cni(host, tmp_path / "d", "test", hostile_plugins(tmp_path)) as d:
        answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
        assert answer.status >= 400 and says in answer.json["error"] and 'CNI plugin "hostile", ADD' in answer.json["error"], answer
        assert d.client.nodes() == []


def test_a_plugin_that_is_gone_at_a_launch(host, clean, tmp_path):
    """Behind one that would make its part first; and nothing is kept of a DEL that cannot be."""
    plugins = hostile_plugins(tmp_path)
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], {"type": "hostile"}]})
    with cni(host, tmp_path / "d", "test", f"{plugins}:/usr/lib/cni") as d:
        (plugins / "hostile").unlink()
        answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
        assert answer.status >= 400 and "hostile" in answer.json["error"] and "/usr/lib/cni" in answer.json["error"], answer
        assert d.client.nodes() == []
        left = host.state()
        assert left["namespaces"] == [] and left["addresses"] == [] and left["rules"] == [] and left["cache"] == []


def test_a_plugin_that_is_gone_at_the_end(host, clean, tmp_path):
    """Its DEL cannot be: that is told, and done once it is back."""
    plugins = hostile_plugins(tmp_path)
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], {"type": "hostile", "x": "chained"}]})
    (plugins / "hostile").write_text(HOSTILE.replace("esac", "*) printf %s \"$input\" | python3 -c '"
                                     "import json,sys; print(json.dumps(json.load(sys.stdin).get(\"prevResult\", {})))' ;;\nesac"))
    with cni(host, tmp_path / "d", "test", f"{plugins}:/usr/lib/cni") as d:
        vm = d.client.create(d.group)["hostname"]
        (plugins / "hostile").rename(plugins / "away")
        refused = d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}")
        assert refused.status >= 400 and "hostile" in refused.text, refused
        assert "hostile" in d.client.node(vm)["last_error"]
        (plugins / "away").rename(plugins / "hostile")
        until(lambda: d.client.nodes() == [], 20, "it is tried again")
        left = host.state()
        assert left["namespaces"] == [] and left["addresses"] == [] and left["rules"] == [] and left["cache"] == []


@pytest.mark.parametrize("files, network, says", [
    ({}, "nosuch", "no CNI network \"nosuch\" in /etc/cni/net.d, which has none"),
    ({"10-a.conflist": {**BRIDGE_LIST, "name": "a"}}, "nosuch", "there are: a"),
    ({"10-a.conflist": "{"}, "a", "10-a.conflist"),
    ({"10-a.conf": {"cniVersion": "1.0.0", "name": "a", "type": "nosuchplugin"}}, "a", "containernetworking-plugins"),
    ({"10-a.conf": {"cniVersion": "1.0.0", "name": "a", "type": "macvlan"}}, "a", "mode: macvtap"),
    ({"10-a.conf": {"cniVersion": "0.1.0", "name": "a", "type": "bridge"}}, "a", "none of 0.3.1"),
])
def test_up_refuses_what_cannot_work(host, clean, tmp_path, files, network, says):
    for name, what in files.items():
        host.put(name, what)
    with pytest.raises(UpFailed) as failed, cni(host, tmp_path, network):
        pass
    assert says in str(failed.value)


def test_what_is_left_of_a_vm_that_nobody_knows_is_removed(host, clean, tmp_path):
    host.put("10-test.conflist", BRIDGE_LIST)
    with cni(host, tmp_path, "test") as d:
        vm = d.client.create(d.group)["hostname"]
        pids = [p for p in find_processes(vm) if p != d.pid]
        d.kill()
        shutil.rmtree(d.state_dir / "vms" / vm)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert host.state()["namespaces"] == [vm]
        d.start()
        until(lambda: host.state()["namespaces"] == [] and not host.state()["addresses"], 20)
        os.unlink(f"/var/log/slicer/{vm}.txt")  # which stays, for whoever wonders


def end_of_all(d, vm):
    """Neither the daemon nor the VM is there any more."""
    pids = [p for p in find_processes(vm) if p != d.pid]
    d.kill()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids), 10)


@pytest.mark.parametrize("verb", [("net", "check", "--fix"), ("doctor", "--fix", "--only", "leftovers")], ids=["check", "doctor"])
def test_what_a_dead_daemons_dead_vm_has_is_removed(host, clean, tmp_path, verb):
    """Leases, rules and what is kept for DEL, too: the plugins are asked. While one of them fails the namespace stays."""
    host.put("10-test.conflist", BRIDGE_LIST)
    before = host.state()
    with cni(host, tmp_path, "test") as d:
        vm = d.client.create(d.group)["hostname"]
        end_of_all(d, vm)
        state = host.state()
        assert state["namespaces"] == [vm] and state["cache"] and state["addresses"] and state["rules"]
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "firewall").write_text("#!/bin/sh\necho '{\"code\":11,\"msg\":\"try again later\"}'\nexit 1\n")
        (broken / "firewall").chmod(0o755)
        done = subprocess.run([*host.prefix, "env", f"CNI_PATH={broken}:/usr/lib/cni", SLICER, *verb], capture_output=True, text=True)
        assert "try again later" in done.stderr + done.stdout and host.state()["namespaces"] == [vm], done
        done = subprocess.run([*host.prefix, SLICER, *verb], capture_output=True, text=True)
        assert done.returncode == 0 and f"Removed: netns {vm}, of {vm}" in done.stdout, done
        after = host.state()
        assert {**after, "links": before["links"]} == before and not find_processes(vm)
        d.start()
        until(lambda: d.client.nodes() == [], 20)


@pytest.mark.parametrize("conflist", [BRIDGE_LIST, PTP_LIST], ids=["bridge", "ptp"])
@pytest.mark.parametrize("how", [("umount", "/run/netns/{}"), ("ip", "netns", "delete", "{}")], ids=["umount", "delete"])
def test_a_namespace_that_lost_its_name(host, clean, tmp_path, conflist, how):
    """By somebody who has unmounted it. Plugins find there what they have translated."""
    host.put("10-test.conflist", conflist)
    with cni(host, tmp_path, conflist["name"]) as d:
        vm = d.client.create(d.group, timeout="60s")["hostname"]
        host.run(*(word.format(vm) for word in how))
        until(lambda: "the VM keeps its network" in d.log_text(), 10)
        assert host.state()["rules"]
        delete(d, vm)
        left = host.state()
        assert [left[key] for key in ("namespaces", "cache", "addresses", "rules")] == [[], [], [], []]


def test_what_is_kept_of_an_attachment_is_found(host, clean, tmp_path):
    """Of a VM that has ended without its daemon, and of whose namespace nothing is left."""
    host.put("10-test.conflist", BRIDGE_LIST)
    before = host.state()
    with cni(host, tmp_path, "test") as d:
        vm = d.client.create(d.group, timeout="60s")["hostname"]
        check = [*host.prefix, SLICER, "net", "check"]
        assert "attachment" not in subprocess.run(check, capture_output=True, text=True).stdout
        end_of_all(d, vm)
        host.run("ip", "netns", "delete", vm)
        shutil.rmtree(d.run_dir / vm)
        done = subprocess.run(check, capture_output=True, text=True)
        assert f"CNI attachment /var/lib/cni/slicer/slicer-{d.id}-{vm}-eth0.json, of {vm} is left" in done.stdout, done
        done = subprocess.run([*check, "--fix"], capture_output=True, text=True)
        assert "Removed: CNI attachment" in done.stdout, done
        after = host.state()
        assert {**after, "links": before["links"]} == before
        d.start()
        until(lambda: d.client.nodes() == [], 20)


def test_an_attachment_of_no_vm_is_removed(host, clean, tmp_path):
    """By the daemon that had it, which has lost record and run directory of the VM."""
    host.put("10-test.conflist", BRIDGE_LIST)
    with cni(host, tmp_path, "test") as d:
        vm = d.client.create(d.group, timeout="60s")["hostname"]
        end_of_all(d, vm)
        host.run("ip", "netns", "delete", vm)
        shutil.rmtree(d.run_dir / vm)
        shutil.rmtree(d.state_dir / "vms" / vm)
        d.start()
        until(lambda: not host.state()["cache"] and not host.state()["rules"], 20)
        os.unlink(f"/var/log/slicer/{vm}.txt")


def test_a_later_plugin_gives_another_address(host, clean, tmp_path):
    """`firewall` has let the first one pass, and finds what to delete by the address in what it is given."""
    plugins = hostile_plugins(tmp_path)
    (plugins / "hostile").write_text(HOSTILE.replace("esac", "*) printf %s \"$input\" | python3 -c '"
                                     "import json,sys; r=json.load(sys.stdin)[\"prevResult\"]; "
                                     "r[\"ips\"][0][\"address\"]=\"10.91.0.77/24\"; print(json.dumps(r))' ;;\nesac"))
    # CHECK of `bridge` does not like that.
    host.put("10-test.conflist", {**BRIDGE_LIST, "disableCheck": True, "plugins": [*BRIDGE_LIST["plugins"], {"type": "hostile"}]})
    with cni(host, tmp_path / "d", "test", f"{plugins}:/usr/lib/cni") as d:
        vm = d.client.create(d.group, timeout="60s")["hostname"]
        assert d.client.node(vm)["ip"] == "10.91.0.77"
        assert any("10.91.0.77" not in rule for rule in host.state()["rules"])
        delete(d, vm)
        assert host.state()["rules"] == []


DNS = "10.91.0.53"


def config_disk(d, vm):
    return (d.state_dir / "vms" / vm / "config.raw").read_bytes()


@pytest.mark.parametrize("own", [False, True])
def test_name_servers_and_mac_address(host, clean, tmp_path, own):
    """The network's name servers are the guest's unless the configuration has some; a plugin that takes one is given the VM's
    MAC address, which stays."""
    capabilities = {"mac": True, "portMappings": True}
    bridge = {**BRIDGE_LIST["plugins"][0], "dns": {"nameservers": [DNS]}, "capabilities": capabilities}
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [bridge, BRIDGE_LIST["plugins"][1]]})
    d = cni(host, tmp_path, "test")
    if own:
        d.config["host_groups"][0]["dns_servers"] = ["192.0.2.53"]
    with d:
        assert 'plugin bridge can be given "portMappings"' in d.log_text()
        made = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={"persistent": True})
        assert made.status == 201, made
        vm = made.json["hostname"]
        disk, mac = config_disk(d, vm), d.client.nodes()[0]["mac"]
        assert (DNS.encode() in disk, b"192.0.2.53" in disk) == (not own, own)
        assert mac in host.run("sh", "-c", "cat /var/lib/cni/slicer/*")
        assert d.client.post(f"/vm/{vm}/shutdown").status == 200
        assert d.client.post(f"/vm/{vm}/relaunch").status == 200
        assert d.client.nodes()[0]["mac"] == mac
        delete(d, vm)


# A plugin behind others, which waits in its ADD and makes nothing.
SLOW = """#!/bin/sh
[ $CNI_COMMAND = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' && exit
echo $CNI_COMMAND >> LOG
[ $CNI_COMMAND = ADD ] && exec sleep 20
exit 0
"""


def test_what_earlier_plugins_made_goes_when_a_later_one_fails(host, clean, tmp_path):
    """`firewall` deletes what it finds in the result that it is given."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "hostile").write_text(HOSTILE)
    (plugins / "hostile").chmod(0o755)
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], {"type": "hostile", "x": "fails"}]})
    with cni(host, tmp_path / "d", "test", f"{plugins}:/usr/lib/cni") as d:
        answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={})
        assert answer.status >= 400 and "try again later" in answer.json["error"], answer
        assert host.state()["rules"] == []


def test_killed_amid_add(host, clean, tmp_path):
    plugins, log = tmp_path / "plugins", tmp_path / "log"
    plugins.mkdir()
    (plugins / "slow").write_text(SLOW.replace("LOG", str(log)))
    (plugins / "slow").chmod(0o755)
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], {"type": "slow"}]})
    with cni(host, tmp_path / "d", "test", f"{plugins}:/usr/lib/cni") as d:
        def ask():
            with contextlib.suppress(OSError, http.client.HTTPException):
                d.client.post(f"/hostgroup/{d.group}/nodes", json={})
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: log.exists() and "ADD" in log.read_text(), 10)
        state = host.state()
        assert state["namespaces"] and state["cache"] and state["addresses"] and state["rules"]
        d.kill()
        asking.join()
        d.start()
        until(lambda: d.client.nodes() == [], 20)
        until(lambda: host.state()["namespaces"] == [] and host.state()["cache"] == [], 20)
        assert log.read_text().split()[-1] == "DEL" and host.state()["addresses"] == []
        assert not find_processes(str(plugins))


# Deletes the interface, as `ptp` does first, and gets no further.
STUCK = """#!/bin/sh
if [ $CNI_COMMAND = DEL ] && [ -e FLAG ]; then
    nsenter --net=$CNI_NETNS ip link del $CNI_IFNAME
    rm FLAG
    exec sleep 20
fi
exec /usr/lib/cni/ptp
"""


def test_killed_amid_del(host, clean, tmp_path):
    """Plugins that masquerade read off their interface for which addresses."""
    plugins, flag = tmp_path / "plugins", tmp_path / "flag"
    plugins.mkdir()
    (plugins / "ptp").write_text(STUCK.replace("FLAG", str(flag)))
    (plugins / "ptp").chmod(0o755)
    host.put("10-test.conflist", PTP_LIST)
    with cni(host, tmp_path / "d", "ptp", str(plugins)) as d:
        vm = d.client.create(d.group, wait=None)["hostname"]
        flag.touch()

        def ask():
            with contextlib.suppress(OSError, http.client.HTTPException):
                d.client.delete(f"/hostgroup/{d.group}/nodes/{vm}")
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: not flag.exists(), 30)
        d.kill()
        asking.join()
        assert host.state()["rules"]
        d.start()
        until(lambda: d.client.nodes() == [], 30)
        assert host.state()["rules"] == []


@pytest.mark.parametrize("end", ["fail", "kill"])
def test_faults_behind_the_network(host, clean, tmp_path, end):
    host.put("10-test.conflist", BRIDGE_LIST)
    with cni(host, tmp_path, "test") as d:
        d.kill()
        d.env["SLICER_FAULT"] = f"launch.network:{end}"
        d.start()
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent"}, json={}).status == 500
        assert "fault injected at launch.network" in d.log_text()
        if end == "kill":
            until(lambda: d.process.poll() is not None, 10)
            assert host.state()["namespaces"] and host.state()["addresses"]
        else:
            d.kill()
        del d.env["SLICER_FAULT"]
        d.start()
        until(lambda: d.client.nodes() == [] and host.state()["namespaces"] == [] and host.state()["addresses"] == [], 20)


def test_no_address_on_demand_where_no_plugin_can_be_given_one(host, clean, tmp_path):
    host.put("10-test.conflist", BRIDGE_LIST)
    with cni(host, tmp_path, "test") as d:
        refused = d.client.post(f"/hostgroup/{d.group}/nodes", json={"ip": "10.91.0.9"})
        assert refused.status == 400 and '"capabilities": {"ips": true}' in refused.json["error"]
        assert d.client.nodes() == []


def with_ips(ipam=None):
    """That network, whose bridge can be given an address; ipam: instead of host-local's."""
    bridge = {**BRIDGE_LIST["plugins"][0], "capabilities": {"ips": True}, **({"ipam": ipam} if ipam else {})}
    return {**BRIDGE_LIST, "plugins": [bridge, *BRIDGE_LIST["plugins"][1:]]}


def ask_for(d, address, **more):
    return d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "120s"}, json={"ip": address, **more})


def test_an_address_asked_for(host, clean, tmp_path):
    """It is the VM's at each start, also by a daemon that was not asked; whoever asks for none has the pool's next one."""
    host.put("10-test.conflist", with_ips())
    with cni(host, tmp_path, "test") as d:
        assert "can be given" not in d.log_text()
        made = ask_for(d, "10.91.0.9", persistent=True)
        assert made.status == 201 and made.json["ip"] == "10.91.0.9/24", made
        vm = made.json["hostname"]
        other = d.client.create(d.group)
        assert other["ip"] == "10.91.0.10/24", "host-local goes on behind the last one"
        taken = ask_for(d, "10.91.0.10")
        assert taken.status == 409 and "10.91.0.10 of host group" in taken.json["error"], taken
        outside = ask_for(d, "10.90.0.9")
        assert outside.status >= 400 and "10.90.0.9" in outside.json["error"], outside
        assert ask_for(d, "nonsense").status == 400
        assert len(d.client.nodes()) == 2
        assert d.client.post(f"/vm/{vm}/shutdown").status == 200
        d.stop()
        d.start()
        assert d.client.post(f"/vm/{vm}/relaunch").status == 200
        assert d.client.node(vm)["ip"] == "10.91.0.9"
        delete(d, vm)


def test_an_address_asked_of_static(host, clean, tmp_path):
    """Which has no pool, and wants the prefix length."""
    host.put("10-test.conflist", with_ips({"type": "static"}))
    with cni(host, tmp_path, "test") as d:
        made = ask_for(d, "10.91.0.9/24")
        assert made.status == 201 and made.json["ip"] == "10.91.0.9/24", made
        taken = ask_for(d, "10.91.0.9/24")
        assert taken.status == 409, taken


def test_an_address_asked_of_a_plugin_that_gives_what_it_likes(host, clean, tmp_path):
    plugin = {"type": "hostile", "x": "nointerface", "capabilities": {"ips": True}}
    host.put("10-h.conflist", {"cniVersion": "1.0.0", "name": "h", "plugins": [plugin]})
    with cni(host, tmp_path / "d", "h", hostile_plugins(tmp_path)) as d:
        refused = ask_for(d, "10.93.0.9")
        assert refused.status >= 400 and "gave address 10.93.0.2/24, and 10.93.0.9 was asked for" in refused.json["error"], refused
        assert d.client.nodes() == []


# As Podman 4 and nerdctl write them, but for the subnet.
PODMAN = {"cniVersion": "0.4.0", "name": "test", "plugins": [
    {**BRIDGE_LIST["plugins"][0], "hairpinMode": True}, {"type": "portmap", "capabilities": {"portMappings": True}},
    {"type": "firewall", "backend": ""}, {"type": "tuning"}]}
NERDCTL = {"cniVersion": "1.0.0", "name": "test", "nerdctlID": "1", "nerdctlLabels": {}, "plugins": [
    {**BRIDGE_LIST["plugins"][0], "hairpinMode": True}, {"type": "portmap", "capabilities": {"portMappings": True}},
    {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]}


@pytest.mark.parametrize("conflist", [PODMAN, NERDCTL], ids=["podman", "nerdctl"])
def test_networks_of_others(host, clean, tmp_path, conflist):
    host.put("10-test.conflist", conflist)
    with cni(host, tmp_path, "test") as d:
        vm = d.client.create(d.group)["hostname"]
        assert d.client.node(vm)["ip"].startswith("10.91.0.")
        delete(d, vm)


@pytest.mark.parametrize("rate", [{}, {"ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 8000000, "egressBurst": 8000000}],
                         ids=["none", "rate"])
def test_plugins_behind_the_bridge(host, clean, tmp_path, rate):
    """As Kubernetes' lists have them. `tuning` gives the interface the VM's MAC address; `bandwidth` shapes on the host's side what
    the list says; what there is nothing to give for is passed by, and `up` says so."""
    chain = [{"type": "tuning", "capabilities": {"mac": True}}, {"type": "portmap", "capabilities": {"portMappings": True}},
             {"type": "bandwidth", "capabilities": {"bandwidth": True}, **rate}]
    host.put("10-test.conflist", {**BRIDGE_LIST, "plugins": [*BRIDGE_LIST["plugins"], *chain]})
    with cni(host, tmp_path, "test") as d:
        assert [word in d.log_text() for word in ('"mac"', '"portMappings"', '"bandwidth"')] == [False, True, True]
        vm = d.client.create(d.group)["hostname"]
        given = json.loads(host.run("sh", "-c", "cat /var/lib/cni/slicer/*"))["mac"]
        assert d.client.node(vm)["mac"] == given
        assert host.run("tc", "qdisc").count("qdisc tbf") == (2 if rate else 0)
        delete(d, vm)
        assert "tbf" not in host.run("tc", "qdisc")
