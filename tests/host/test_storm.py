# SPDX-License-Identifier: MIT
"""A daemon that is killed again and again while clients make, stop, start and delete VMs on every kind of network: it loses none,
makes none twice, and leaves nothing behind."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time

import pytest
from slicertest import Daemon, proc, run, until
from slicertest.cni import PTP_LIST, state_directories
from slicertest.netspace import World

ROUNDS, CLIENTS = 40, 4
MOST = 5  # of VMs that a client has at a time
NETWORKS = {
    "b": {"mode": "bridge", "bridge": "brvm0", "gateway": "10.50.0.1/24"},
    "i": {"mode": "isolated", "range": "10.200.0.0/23", "drop": ["192.0.2.0/24"]},
    "m": {"mode": "macvtap"},
    "u": {"mode": "user"},
    "c": None,  # CNI
}
ENDED = (OSError, http.client.HTTPException)  # what a client sees of a daemon that is killed


def storm_daemon(world):
    directory = world.dir / "d"
    d = Daemon(directory, prefix=(*world.host.argv(), "env", "-C", str(directory)), env={"SLICER_RECONCILE_MS": "300"})
    d.config["host_groups"] = [
        {"name": d.group + key, "count": 0, "vcpu": 1, "ram_mb": 128, **({"network": network} if network else {})}
        for key, network in NETWORKS.items()]
    world.host.run("sh", "-c", "cat > /etc/cni/net.d/ptp.conflist", input=json.dumps(PTP_LIST))
    d.config["network_name"] = "ptp"
    return d


class Customer:
    """Knows what it was told: `running` and `stopped` are certain; what an answer got lost of is `unclear`, its deletions `doomed`."""

    def __init__(self, d, seed):
        self.d, self.random = d, random.Random(seed)
        self.running, self.stopped, self.doomed = set(), set(), set()
        self.unclear = 0

    def act(self):
        have = sorted(self.running | self.stopped)
        if len(have) < 2 or len(have) < MOST and self.random.random() < 0.5:
            self.create()
        else:
            vm = self.random.choice(have)
            self.random.choice([self.delete, self.delete, self.turn, self.turn, self.tag, self.crash])(vm)

    def create(self):
        group = self.d.group + self.random.choice("bbiimuc")
        self.unclear += 1
        answer = self.d.client.post(f"/hostgroup/{group}/nodes", json={"persistent": self.random.random() < 0.5})
        assert answer.status == 201, answer
        self.running.add(answer.json["hostname"])
        self.unclear -= 1

    def delete(self, vm):
        self.running.discard(vm)
        self.stopped.discard(vm)
        self.doomed.add(vm)
        answer = self.d.client.delete(f"/hostgroup/{vm.rpartition('-')[0]}/nodes/{vm}")
        assert answer.status == 200, answer
        self.doomed.discard(vm)

    def turn(self, vm):
        """Off and on again. One that is not persistent goes with its end."""
        if not self.d.client.node(vm)["persistent"]:
            return
        if vm in self.running:
            self.running.discard(vm)
            self.doomed.add(vm)  # for as long as it is not known which
            answer = self.d.client.post(f"/vm/{vm}/shutdown", timeout=90)
            to = self.stopped
        else:
            self.stopped.discard(vm)
            self.doomed.add(vm)
            answer = self.d.client.post(f"/vm/{vm}/relaunch")
            to = self.running
        assert answer.status == 200, answer
        self.doomed.discard(vm)
        to.add(vm)

    def crash(self, vm):
        """Its hypervisor, its monitor or both are killed; whether it is listed as stopped or is gone, its end must be whole."""
        record = self.d.record(vm)
        self.running.discard(vm)
        self.stopped.discard(vm)
        self.doomed.add(vm)
        for kind in self.random.sample(["vmm", "monitor"], self.random.randint(1, 2)):
            pid = record.get(f"{kind}_pid")
            if pid and proc.start_time(pid) == record[f"{kind}_start"]:
                os.kill(pid, signal.SIGKILL)

    def tag(self, vm):
        answer = self.d.client.request("PATCH", f"/vm/{vm}/tags", json={"add": [f"t{self.random.randrange(9)}"]})
        assert answer.status == 200, answer

    def work(self, ended):
        while not ended.is_set():
            try:
                self.act()
            except ENDED:
                return


def storm(d, customers, seconds):
    ended = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        working = [pool.submit(customer.work, ended) for customer in customers]
        time.sleep(seconds)
        ended.set()
        d.kill()
    for one in working:
        one.result()


def check(d, customers):
    """What is there is what was told, and what no answer was heard of."""
    nodes = {n["hostname"]: n for n in d.client.nodes()}
    known = {vm: "Running" for c in customers for vm in c.running} | {vm: "Stopped" for c in customers for vm in c.stopped}
    assert {vm: n["status"] for vm, n in nodes.items() if vm in known} == known
    doomed = {vm for c in customers for vm in c.doomed}
    assert len(set(nodes) - set(known) - doomed) <= sum(c.unclear for c in customers)
    addresses = [n["ip"] for vm, n in nodes.items() if n["ip"] and vm.rpartition("-")[0][-1] in "bic"]
    assert len(addresses) == len(set(addresses)), addresses
    for vm in set(nodes) - set(known):
        answer = d.client.delete(f"/hostgroup/{vm.rpartition('-')[0]}/nodes/{vm}", timeout=90)
        assert answer.status in (200, 404), answer
    for c in customers:
        c.doomed.clear()
        c.unclear = 0
    assert {n["hostname"] for n in d.client.nodes()} == set(known)
    return [vm for vm, status in known.items() if status == "Running"]


@pytest.mark.full
def test_killed_in_a_storm(store, tmp_path):
    seed = int(os.environ.get("SLICER_STORM_SEED", time.time_ns() % 100000))
    print(f"SLICER_STORM_SEED={seed}")
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        world = World(stack, tmp_path, stack.enter_context(state_directories()))
        with storm_daemon(world) as d:
            customers = [Customer(d, seed + i) for i in range(CLIENTS)]
            for _ in range(ROUNDS):
                storm(d, customers, chance.uniform(0.3, 4))
                d.start()
                running = check(d, customers)
                for vm in running:
                    assert run(d.client, vm, "echo", "well").stdout == b"well\n"
            d.stop()
            d.start()
            kept = {n["hostname"] for n in d.client.nodes()}
            assert kept <= {vm for c in customers for vm in c.running | c.stopped}
        assert os.listdir(d.state_dir / "vms") == [] and os.listdir(d.run_dir.parent) == []
        rules = [line for line in world.host.run("iptables-save", "-t", "nat").stdout.splitlines() if line.startswith(("-A", ":CNI"))]
        assert rules == []
        world.host.run("nft", "delete", "table", "ip", "nat", check=False)  # iptables', which it never removes
        until(lambda: world.host.state() == world.before, 10, f"{world.host.state()} as {world.before}")
