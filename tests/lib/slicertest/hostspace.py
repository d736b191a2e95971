# SPDX-License-Identifier: MIT
"""A network namespace in the place of a host for daemons with guests, with a second one as its only neighbour, "the Internet"."""
import contextlib
import os
import shutil
import subprocess

from .matrix import Surroundings, ping

OUTSIDE = "203.0.113.1"  # RFC 5737


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


def inside(ns, *words):
    return subprocess.run(["ip", "netns", "exec", ns, *words], capture_output=True, text=True, timeout=60)


def pings(ns, address):
    """It should reach that address."""
    return inside(ns, "sh", "-c", ping(address)).returncode == 0


def outside_of_host():
    return f"slt-out-{os.getpid()}"


def surroundings(stack, host):
    """What a VM of that host may find (matrix.py)."""
    return Surroundings(stack, ("ip", "netns", "exec", host), ("ip", "netns", "exec", outside_of_host()), OUTSIDE)


def without_passt():
    """Words before a command for which passt is not there."""
    hide = 'mount --bind /dev/null "$0" && exec "$@"'
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", hide, shutil.which("passt"))


@contextlib.contextmanager
def host_space():
    """Its name; it is 203.0.113.2, with a default route to OUTSIDE."""
    host, outside = f"slt-host-{os.getpid()}", outside_of_host()
    try:
        for name in (host, outside):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", host, "link", "add", "uplink", "type", "veth", "peer", "name", "wire", "netns", outside)
        for name, link, address in ((host, "uplink", "203.0.113.2/24"), (outside, "wire", f"{OUTSIDE}/24")):
            ip("-n", name, "addr", "add", address, "dev", link)
            ip("-n", name, "link", "set", link, "up")
        ip("-n", host, "route", "add", "default", "via", OUTSIDE)
        yield host
    finally:
        for name in (host, outside):
            ip("netns", "del", name, check=False)
