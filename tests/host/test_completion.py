# SPDX-License-Identifier: MIT
"""Completion for bash, as bash calls it."""
import os
import subprocess

import pytest
from slicertest import SLICER, SOURCE
from slicertest.fakeapi import FakeApi

CALL = """. "$1"; shift
compopt() { echo "compopt $*"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _slicer
((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}"
exit 0
"""


@pytest.fixture(scope="module")
def bash(fake, vm, store):
    """What bash offers for the last of the words; `vm` runs on the daemon `fake`."""
    env = {**os.environ, "PATH": f"{SLICER.parent}:{os.environ['PATH']}", "SLICER_URL": str(fake.address), "SLICER_STORE": str(store)}

    def offer(*words, **more):
        done = subprocess.run(["bash", "-c", CALL, "bash", SOURCE / "tools/completion.bash", "slicer", *words],
                              capture_output=True, text=True, timeout=60, env={**env, **more}, cwd=fake.dir)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()
    return offer


def test_verbs_and_options(bash):
    assert bash("vm", "exe") == ["exec"] and bash("ima") == ["image"]
    assert {"build", "import", "list", "remove", "wipe"} <= set(bash("image", ""))
    assert bash("vm", "exec", "--st") == ["--stdin"] and bash("vm", "exec", "--url", "x", "--ui") == ["--uid"]
    assert bash("no-such-verb", "--no-such") == []


def test_names_of_vms(bash, fake, vm):
    assert bash("vm", "exec", vm[:2]) == [vm] and bash("exec", vm[:2]) == [vm]
    assert bash("vm", "delete", "--json", "--url", str(fake.address), vm[:3]) == [vm]
    assert bash("vm", "delete", vm[:3], SLICER_URL="/nowhere") == []
    assert bash("vm", "delete", "--url", "=", str(fake.address), vm[:3], SLICER_URL="/nowhere") == [vm]
    assert bash("vm", "delete", "--api", str(fake.address), vm[:3], SLICER_URL="/nowhere") == [vm], "its other name"
    assert bash("vm", "shell", "--workdir", "/srv", "--url", str(fake.address), vm[:3]) == [vm]
    assert bash("vm", "exec", vm, "--", "") == []  # a command of the guest
    assert bash("vm", "exec", "--uid", vm[:2]) == []  # the value of an option


def test_names_of_groups(bash, fake):
    assert bash("vm", "add", fake.group[:2]) == [fake.group] and bash("vm", "list", fake.group[:2]) == [fake.group]


def test_paths_in_vms(bash, vm):
    assert bash("vm", "cp", vm[:2]) == ["compopt -o nospace", vm + ":"]
    assert bash("vm", "cp", "notes.txt", vm[:2]) == ["compopt -o nospace", vm + ":"]
    assert bash("vm", "cp", vm, ":", "/t") == ["compopt +o default"]  # no file of this host
    assert bash("vm", "cp", "./no") == []  # and here bash offers files


def test_images(bash):
    assert bash("image", "remove", "mic")[0] == "micro" and bash("new", "vm", "--image", "deb")[0] == "debian"
    assert bash("new", "vm", "--image", "=", "mic")[0] == "micro"


def test_files_are_left_to_bash(bash):
    assert bash("up", "vm.ya") == [] and bash("new", "x", "--userdata-file", "se") == []


@pytest.fixture
def mute(space, tmp_path):
    """Runs a command where no resolver answers: packets to it go nowhere."""
    space.run("ip", "link", "add", "dns0", "type", "veth", "peer", "name", "dns1")
    for link in ("dns0", "dns1"):
        space.run("ip", "link", "set", link, "up")
    space.run("ip", "addr", "add", "192.0.2.2/24", "dev", "dns0")
    space.run("ip", "neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "dns0")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.1\noptions timeout:30 attempts:5\n")
    there = [*space.prefix, "unshare", "--mount", "sh", "-c", f"mount --bind {resolv} $(realpath /etc/resolv.conf); exec \"$@\"", "sh"]
    return lambda *words, seconds: subprocess.run(["timeout", "-s", "KILL", str(seconds), *there, *map(str, words)], check=False,
                                                  capture_output=True, text=True, timeout=60)


def test_a_shell_does_not_wait_for_resolvers(mute):
    assert mute("getent", "ahosts", "vm.example.org", seconds=2).returncode == -9, "it is waited for"
    for url in ("vm.example.org", "http://vm.example.org:8080"):
        done = mute(SLICER, "complete", "--", "vm", "exec", "--url", url, seconds=25)
        assert done.returncode == 0 and "--uid" in done.stdout, done
    done = mute(SLICER, "complete", "--", "vm", "exec", "--url", "http://192.0.2.3", seconds=25)  # the address of nobody
    assert done.returncode == 0 and "--uid" in done.stdout, done


@pytest.mark.full
def test_a_command_waits_for_resolvers_ten_seconds(mute):
    done = mute(SLICER, "vm", "list", "--url", "http://vm.example.org:8080", seconds=40)
    assert done.returncode == 1 and "cannot resolve 'vm.example.org': no answer within 10 s" in done.stderr, done


def test_a_daemon_that_means_harm(bash):
    with FakeApi() as api:
        api.routes["GET", "/nodes"] = 200, '[{"hostname": "$(touch x)"}, {"hostname": "a b"}, {"hostname": 5}, {}, {"hostname": "vm-1"}]'
        assert [w for w in bash("vm", "exec", "", SLICER_URL=api.url) if not w.startswith("--")] == ["vm-1"]
        api.routes["GET", "/nodes"] = 200, "[" * 100
        assert bash("vm", "exec", "v", SLICER_URL=api.url) == []
