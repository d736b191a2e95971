# SPDX-License-Identifier: MIT
"""A LAN: a "host" in a network namespace of its own, on a wire with a "router" that has DHCP, DNS and IPv6 routes."""
import contextlib
import os
import subprocess

from .matrix import ping
from .wait import until

ROUTER, SUBNET = "192.0.2.1", "192.0.2"  # RFC 5737
PREFIX6 = "fd51:ce00:1:2"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


class Lan:
    def __init__(self, directory):
        self.host, self.router = f"slt-host-{os.getpid()}", f"slt-router-{os.getpid()}"
        self.leases, self.log, self.dnsmasq = directory / "leases", directory / "dnsmasq.log", None

    # The daemon's sysfs must be that of its network namespace, which `ip netns exec` sees to.
    @property
    def prefix(self):
        return ("ip", "netns", "exec", self.host)

    def on_host(self, *words, check=True):
        return ip("-n", self.host, *words, check=check)

    def from_router(self, *words):
        return subprocess.run(["ip", "netns", "exec", self.router, *words], capture_output=True, text=True, timeout=60)

    def pings(self, address):
        """The router reaches it, as it should."""
        return self.from_router("busybox", "sh", "-c", ping(address)).returncode == 0

    def lease(self, mac):
        """(address, hostname) that the router gave to that MAC address."""
        for line in self.leases.read_text().splitlines() if self.leases.exists() else ():
            words = line.split()
            if words[1:2] == [mac]:
                return words[2], words[3]
        return None

    def start(self):
        for name in (self.host, self.router):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        self.on_host("link", "add", "lan0", "type", "veth", "peer", "name", "wire", "netns", self.router)
        self.on_host("addr", "add", f"{SUBNET}.2/24", "dev", "lan0")
        ip("-n", self.router, "addr", "add", f"{ROUTER}/24", "dev", "wire")
        ip("-n", self.router, "addr", "add", f"{PREFIX6}::1/64", "dev", "wire", "nodad")
        ip("-n", self.router, "link", "set", "wire", "up")
        self.on_host("link", "set", "lan0", "up")
        self.on_host("route", "add", "default", "via", ROUTER)
        self.dnsmasq = subprocess.Popen(
            ["ip", "netns", "exec", self.router, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
             "--interface=wire", "--bind-interfaces", "--user=root", "--pid-file", "--log-dhcp", f"--log-facility={self.log}",
             f"--dhcp-leasefile={self.leases}", f"--dhcp-range={SUBNET}.50,{SUBNET}.99,12h", f"--address=/lan.test/{ROUTER}",
             "--enable-ra", f"--dhcp-range={PREFIX6}::,ra-only"], stdin=subprocess.DEVNULL)
        until(lambda: self.log.exists() and "started" in self.log.read_text(), 60)

    def stop(self):
        if self.dnsmasq:
            self.dnsmasq.terminate()
            self.dnsmasq.wait()
        for name in (self.host, self.router):
            ip("netns", "del", name, check=False)


@contextlib.contextmanager
def lan(directory):
    one = Lan(directory)
    try:
        one.start()
        yield one
    finally:
        one.stop()
