# SPDX-License-Identifier: MIT
"""slicer doctor, slicer net check and a start say which routing rule leads packets of VMs elsewhere, and what to do."""
import contextlib
import json
import time

import pytest
from slicertest import until
from test_doctor import Doctor, inside
from test_net_verbs import NETWORK, check, sh, slicer

VPN = "ip link set lo up; ip route add default dev lo table 152; ip rule add priority 5270 lookup 152"


def test_doctor(tmp_path):
    doctor = Doctor(tmp_path)
    doctor.says("routing-rules", "ok", "where the table main says", prefix=inside("ip rule add priority 9 lookup 152"))
    for network, subnet in ("bridge", "192.168.137.0/24"), ("isolated", "169.254.60.0/22"), ("slots", "10.7.0.0/24"):
        result = doctor.says("routing-rules", "error", "routing rule 5270 before the table main, whose table 152 leads them out of lo",
                             doctor.config(network), prefix=inside(VPN), fix=f"ip rule add priority 5269 to {subnet} lookup main;")
        assert len(result["fix"]) == len(result["detail"]) == (2 if network == "slots" else 1)
        remedies = "".join(f"; {line.partition(';')[0]}" for line in result["fix"])
        doctor.says("routing-rules", "ok", "", doctor.config(network), prefix=inside(VPN + remedies))
    doctor.says("routing-rules", "ok", "", doctor.config("user"), prefix=inside(VPN))
    doctor.says("routing-rules", "warning", "192.168.137.0/24", prefix=inside(VPN), fix="5269")
    doctor.says("routing-rules", "error", "which refuses them", doctor.config(), fix="when they are to get there",
                prefix=inside("ip rule add priority 7 from 192.168.137.0/24 prohibit"))


@contextlib.contextmanager
def ruled(*, priority=5270):
    sh(f"ip route add blackhole default table 152; ip rule add priority {priority} lookup 152")
    try:
        yield
    finally:
        sh(f"ip rule del priority {priority}; ip route flush table 152")


@pytest.mark.parametrize("network", [NETWORK, {"mode": "isolated", "range": "169.254.60.0/22"}], ids=["bridge", "isolated"])
def test_a_daemon_that_runs_and_one_that_starts(daemon, network):
    d = daemon(group={"network": network})
    assert check() == []
    with ruled():
        inward, outward = check(d.file)
        assert "meet routing rule 5270 before the table main, whose table 152 refuses them (route default): nothing" in inward
        assert "to the Internet meet routing rule 5270" in outward
        fixes = [f["fix"] for f in json.loads(slicer("net", "check", "--json", d.file).stdout)["findings"]]
        assert [f.partition(" lookup main")[0].split()[-7:-1] for f in fixes] == [
            ["ip", "rule", "add", "priority", "5269", "to"], ["ip", "rule", "add", "priority", "5269", "from"]]
        assert d.stop() == 0
        assert check(d.file) == [inward, outward]  # before there is an interface as well
        d.start()
        log = d.log_text()
        assert inward in log and f"{outward}. Remedy: {fixes[1]}" in log
        assert d.client.create(d.group)["hostname"], "its VMs run all the same"
    assert check(d.file) == []


def test_a_vpn_that_comes_later(daemon):
    """Is told of once, and that it has gone."""
    d = daemon(env={"SLICER_RECONCILE_MS": "100"}, group={"network": NETWORK})
    for times in 1, 2:
        with ruled(priority=100 + times):
            until(lambda: f"meet routing rule {100 + times} before" in d.log_text(), 10)
            time.sleep(1)
        until(lambda: d.log_text().count("routing: is as it should be again") == times, 10)
        assert d.log_text().count("error: routing: host group") == times
    assert "lookup main; and have that added by whatever makes rule 102, a VPN perhaps (and 1 more: slicer net check)" in d.log_text()
