# SPDX-License-Identifier: MIT
"""slicer doctor with networks of CNI that are the user's own: they need what they say, and not what the default one needs."""
import json

from test_doctor import Doctor

LAB = {"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "ptp", "ipam": {"type": "host-local"}}]}


def test_networks_of_the_configuration(tmp_path):
    doctor, config = Doctor(tmp_path), tmp_path / "vm.yaml"
    config.write_text("config:\n  network_name: lab\n  host_groups:\n  - {name: vm, count: 1, ram_mb: 256}\n")

    def has(**changes):
        doctor.put("/etc/cni/net.d/10-lab.conflist", json.dumps({**LAB, **changes}))
    has(name="other")
    doctor.says("cni", "error", 'no CNI network "lab"', config, fix="set network_name")
    has()
    # In this root there is no iptables, which nothing here runs.
    doctor.says("cni", "ok", "The CNI networks of the configuration can be used", config)
    has(plugins=[{"type": "nosuch"}])
    doctor.says("cni", "error", 'CNI plugin "nosuch" is in none of', config, fix="/etc/cni/net.d")
    # What "slicer up" refuses as well, whether the plugin is there or not.
    has(plugins=[{"type": "macvlan", "master": "eth0"}])
    doctor.says("cni", "error", 'cannot take the place of an interface of plugin "macvlan"', config, fix="set network_name")
    has(cniVersion="9.0.0")
    doctor.says("cni", "error", "cniVersion 9.0.0", config)
    # Both that and the default one.
    config.write_text(config.read_text() + "  - {name: web, count: 1, ram_mb: 256, network_name: slicer}\n")
    result = doctor.says("cni", "error", "Missing: iptables", config, fix="apt-get install iptables")
    assert "cniVersion 9.0.0" in "".join(result["detail"])
