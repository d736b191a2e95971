# SPDX-License-Identifier: MIT
"""A host for CNI: /etc/cni/net.d, host-local's and slicer's state in /var/lib/cni, and /run are its own, as is its network."""
import contextlib
import json
import os
import subprocess

BRIDGE_LIST = {"cniVersion": "1.0.0", "name": "test", "plugins": [
    {"type": "bridge", "bridge": "cnitest0", "isGateway": True, "ipMasq": True,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.91.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "firewall"}]}
PTP_LIST = {"cniVersion": "0.4.0", "name": "ptp", "plugins": [
    {"type": "ptp", "ipMasq": True,
     "ipam": {"type": "host-local", "subnet": "10.92.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}]}

STATE = ("/etc/cni/net.d", "/var/lib/cni")  # of whatever makes or uses networks

SCRIPT = f"""
mkdir -p /run/netns
for d in {' '.join(STATE)}; do mount -t tmpfs t $d; done
mount -t sysfs s /sys
ip link set lo up
ip link add uplink0 type veth peer name wire0
ip addr add 203.0.113.2/24 dev uplink0
ip link set uplink0 up
ip link set wire0 up
ip route add default via 203.0.113.1
echo ready
exec sleep 10000
"""


class CniHost:
    def __init__(self, process):
        self.process = process

    @property
    def prefix(self):
        return ("nsenter", "-t", str(self.process.pid), "-n", "-m")

    def prefix_in(self, directory):
        """nsenter -m goes to the root of the namespace's mounts."""
        return (*self.prefix, "env", "-C", str(directory))

    def run(self, *words, check=True, **kwargs):
        done = subprocess.run([*self.prefix, *map(str, words)], capture_output=True, text=True, timeout=60, **kwargs)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def neighbour(self):
        """203.0.113.1, where the host's default route leads; gives words before a command that is to be run there."""
        process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 10000"], stdout=subprocess.PIPE, text=True)
        there = ("nsenter", "-t", str(process.pid), "-n")
        try:
            assert process.stdout.readline() == "ready\n"
            self.run("ip", "link", "set", "wire0", "netns", process.pid)
            subprocess.run([*there, "sh", "-ec", "ip link set lo up; ip addr add 203.0.113.1/24 dev wire0; ip link set wire0 up"], check=True)
            try:
                yield there
            finally:
                subprocess.run([*there, "ip", "link", "set", "wire0", "netns", str(self.process.pid)], check=True)
                self.run("ip", "link", "set", "wire0", "up")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def put(self, name, what):
        text = what if isinstance(what, str) else json.dumps(what)
        self.run("sh", "-c", f"cat > /etc/cni/net.d/{name}", input=text)

    def state(self):
        """All that a VM could leave behind."""
        return {"links": sorted(line.split()[0].partition("@")[0] for line in self.run("ip", "-br", "link").splitlines()),
                "namespaces": self.run("ls", "/run/netns").split(),
                "cache": self.run("sh", "-c", "ls /var/lib/cni/slicer 2>/dev/null || true").split(),
                "addresses": self.run("sh", "-c", "find /var/lib/cni/networks -name '[0-9]*' 2>/dev/null || true").split(),
                "rules": [line for line in self.run("iptables-save").splitlines() if "10.9" in line or "10.63" in line]}


@contextlib.contextmanager
def state_directories():
    """They are there, to be mounted on; those that were not go again."""
    made = [path for path in ("/etc/cni/net.d", "/etc/cni", "/var/lib/cni") if not os.path.exists(path)]
    for path in STATE:
        os.makedirs(path, exist_ok=True)
    try:
        yield STATE
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                os.rmdir(path)


@contextlib.contextmanager
def cni_host():
    with state_directories():
        process = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sh", "-ec", SCRIPT],
                                   stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "ready\n"
            yield CniHost(process)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
