# SPDX-License-Identifier: MIT
"""`slicer new`: what its options print means the same as the documented examples (tests/golden/new/*.yaml), and the
exact text is that of tests/golden/new/*.txt. SLICER_GOLDEN_UPDATE=1 writes the .txt files anew.

SLICER_BUILD is the build directory; the program is looked for there.
"""
import os
import pathlib
import re
import subprocess

import pytest
import yaml

GOLDEN = pathlib.Path(__file__).parent / "new"
COMMENTED = re.compile(r"^( *)# (?=[a-z_]+:| )", re.M)


def find_program():
    build = pathlib.Path(os.environ.get("SLICER_BUILD", "build"))
    for path in (build / "slicer", build / "src" / "slicer"):
        if path.is_file():
            return str(path.resolve())
    pytest.fail(f"no program \"slicer\" in {build}; set SLICER_BUILD to the build directory")


def new(*args, home="/nonexistent", **kwargs):
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run([find_program(), "new", *args], env=env, text=True, capture_output=True, timeout=20, **kwargs)


def config(*args, **kwargs):
    result = new(*args, **kwargs)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return yaml.safe_load(result.stdout)


@pytest.mark.parametrize("options, says", [
    (["--hypervisor", "firecracker"], 'hypervisor "firecracker" is not in this version yet'),
    (["--storage", "image", "--storage-size", "25G"], 'storage "image" is not in this version yet'),
    (["--image", "ghcr.io/openfaasltd/slicer-systemd:6.1.90-x86_64-latest"], "is in a registry"),
])
def test_what_up_is_going_to_refuse_is_said(options, says):
    done = new("vm", *options)
    assert done.returncode == 0 and yaml.safe_load(done.stdout)["config"]["host_groups"][0]["name"] == "vm"
    assert done.stderr.startswith('slicer: warning: "slicer up" is going to refuse this: vm.yaml:') and says in done.stderr


# name of the golden file: the options
EXAMPLES = {
    "bridge": ["vm", "--count=3", "--cidr=192.168.137.0/24"],
    "bridge-range": ["vm", "--count=3", "--cidr=192.168.137.0/24", "--range=192.168.137.20-192.168.137.80"],
    "bridge-addresses": ["vm", "--count=3", "--cidr=192.168.137.0/24", "--address", "192.168.137.2/24",
                         "--address", "192.168.137.3/24", "--address", "192.168.137.4/24"],
    "bridge-default": ["slicer1"],
    "nested-plain": ["slicer0", "--cidr", "192.168.130.0/24"],
    "nested-inner": ["slicer1", "--cidr", "192.168.137.0/24"],
    "nested-inner-github": ["slicer1", "--cidr", "192.168.137.0/24", "--github", "alexellis"],
    "nested": ["slicer0", "--cidr", "192.168.130.0/24", "--github", "alexellis"],
    "isolated": ["sandbox", "--net=isolated"],
    "isolated-drop": ["sandbox", "--net=isolated", "--drop", "192.168.1.0/24"],
    "isolated-range": ["sandbox", "--net=isolated", "--isolated-range", "169.254.100.0/22", "--drop", "192.168.1.0/24"],
    "isolated-range-alone": ["sandbox", "--net=isolated", "--isolated-range", "169.254.100.0/22"],
    "macvtap-range": ["lan", "--net=macvtap", "--cidr=192.168.1.0/24", "--count=1", "--range=192.168.1.100-192.168.1.200"],
    "macvtap-parent": ["lan", "--net=macvtap", "--parent=eth1", "--count=1"],
    "macvtap-dhcp": ["lan", "--net=macvtap", "--count=1"],
    "macvtap-gateway": ["lan", "--net=macvtap", "--cidr=192.168.1.0/24", "--count=1"],
    "macvtap-addresses": ["lan", "--net=macvtap", "--cidr=192.168.1.0/24", "--count=3", "--address=192.168.1.200",
                          "--address=192.168.1.201", "--address=192.168.1.202"],
    "cni": ["vm", "--net", "cni"],
    "user": ["dev", "--net", "user", "--image", "micro", "--accel", "tcg", "--ram", "1", "--cpu", "1",
             "--forward", "8022:22"],
    "user-defaults": ["dev", "--net", "user", "--forward-defaults", "--forward", "9000:9000"],
    "everything": ["--count", "2", "--vcpu=3", "--ram_gb", "8", "big", "--dns", "1.1.1.1", "--dns=9.9.9.9",
                   "--storage", "image", "--storage-size", "25G", "--persistent", "true", "--ca",
                   "--image", "ghcr.io/owner/name:tag", "--github", "octo-cat", "--ssh-key", "ssh-ed25519 AAAA me",
                   "--ssh-port", "2222", "--api-bind", "0.0.0.0", "--api-port", "8081", "--api-auth=false",
                   "--graceful-shutdown", "false", "--userdata", "#!/bin/sh\necho 'a: b' # c\n", "--tap-prefix", "bt",
                   "--hypervisor", "cloud-hypervisor", "--find-ssh-keys=false"],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name):
    result = new(*EXAMPLES[name])
    assert result.returncode == 0, result.stderr
    assert yaml.safe_load(result.stdout) == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("SLICER_GOLDEN_UPDATE"):
        golden.write_text(result.stdout)
    assert result.stdout == golden.read_text()


@pytest.mark.parametrize("name", EXAMPLES)
def test_comments_are_the_defaults(name):
    """Every commented line may be uncommented: the file stays YAML, and only adds keys."""
    text = new(*EXAMPLES[name]).stdout
    text = re.sub(r"^ *# Defaults.*\n", "", text, flags=re.M)
    full = yaml.safe_load(COMMENTED.sub(r"\1", text))["config"]
    short = yaml.safe_load(text)["config"]
    assert full != short
    assert {"count", "vcpu", "ram_gb", "storage", "dns_servers"} <= set(full["host_groups"][0])
    for key, value in short["host_groups"][0].items():
        assert full["host_groups"][0][key] == value
    for key, value in short.items():
        assert key == "host_groups" or full[key] == value
    assert full["hypervisor"] in ("qemu", "cloud-hypervisor")
    assert "port" in full["api"] or "api" in short


def test_order_of_options_and_name():
    assert config("--count", "2", "vm") == config("vm", "--count=2")
    assert config("vm", "--persistent=false") == config("vm", "--persistent", "false")
    assert config("vm", "--persistent")["config"]["host_groups"][0]["persistent"] is True


def test_socket_and_min():
    assert config("vm", "--socket", "./slicer.sock")["config"]["api"] == {"bind_address": "./slicer.sock"}
    assert config("vm", "--api-bind", "/run/x.sock")["config"]["api"] == {"bind_address": "/run/x.sock"}
    assert config("vm", "--min")["config"]["image"] == "micro"
    assert "image" not in config("vm", "--min=false")["config"]


def test_long_name_keeps_interface_limits():
    network = config("a-rather-long-group-name")["config"]["host_groups"][0]["network"]
    assert len(network["bridge"]) == 15
    assert len(network["tap_prefix"]) == 12
    other = config("a-rather-long-group-name2")["config"]["host_groups"][0]["network"]
    assert other["bridge"] != network["bridge"]


@pytest.mark.parametrize("script", [
    "#!/bin/sh\necho hi\n", "#!/bin/sh\necho hi", "a: b\n\n\n", " leading\nspace", "\nfirst empty", "tab\there\n\tx\n",
    "é ü\nline\n", "true", "123", "1:30", "- a", "# no comment", "quote \" and \\ back", "x\n  # y\n\n z\n", "", "a\r\nb",
])
def test_userdata_survives(script):
    assert config("vm", "--userdata", script)["config"]["host_groups"][0]["userdata"] == script


def test_found_ssh_keys(tmp_path):
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519.pub").write_text("ssh-ed25519 AAAA me@host\n")
    (ssh / "id_rsa.pub").write_text("ssh-rsa BBBB me@host\n")
    (ssh / "id_rsa-cert.pub").write_text("ssh-rsa-cert-v01@openssh.com CCCC me\n")
    (ssh / "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (ssh / "empty.pub").write_text("")
    found = ["ssh-ed25519 AAAA me@host", "ssh-rsa BBBB me@host"]
    assert config("vm", home=tmp_path)["config"]["ssh_keys"] == found
    assert "ssh_keys" not in config("vm", "--find-ssh-keys=false", home=tmp_path)["config"]
    keys = config("vm", "--ssh-key", "~/.ssh/id_rsa.pub", "--ssh-key", "ssh-ed25519 DDDD", home=tmp_path)
    assert keys["config"]["ssh_keys"] == [found[1], "ssh-ed25519 DDDD", found[0]]
    refused = new("vm", "--ssh-key", str(ssh / "id_rsa"), home=tmp_path)
    assert refused.returncode == 2
    assert "private key" in refused.stderr
    missing = new("vm", "--ssh-key", "/nonexistent.pub")
    assert missing.returncode == 1
    assert "/nonexistent.pub" in missing.stderr


@pytest.mark.parametrize("args, message", [
    ([], "missing argument"),
    (["a", "b"], "unexpected argument"),
    (["VM"], "error: NAME: \"VM\" is not a DNS label"),
    (["vm", "--count", "-1"], "--count"),
    (["vm", "--count", "10001"], "count must be from 0 to 10000"),
    (["vm", "--cpu", "0"], "vcpu must be from 1 to 288"),
    (["vm", "--cidr", "10.0.0.0"], "--cidr"),
    (["vm", "--cidr", "10.0.0.0/31"], "no room"),
    (["vm", "--cidr", "10.0.0.0/30", "--count", "2"], "more addresses"),
    (["vm", "--net", "wifi"], "none of bridge"),
    (["vm", "--net=isolated", "--cidr", "10.0.0.0/24"], "--isolated-range"),
    (["vm", "--isolated-range", "169.254.100.0/22"], "needs --net isolated"),
    (["vm", "--drop", "10.0.0.0/8"], "belongs to mode isolated"),
    (["vm", "--net=isolated", "--drop", "example.org"], "not a destination"),
    (["vm", "--net=isolated", "--isolated-range", "169.254.168.0/24"], "cloud metadata"),
    (["isolated-agents", "--net=isolated"], "too long for an isolated network"),
    (["vm", "--net=cni", "--drop", "LAN"], "no meaning"),
    (["vm", "--storage", "image"], "storage_size"),
    (["vm", "--storage", "floppy"], "one of overlay"),
    (["vm", "--socket", "./a.sock", "--api-bind", "127.0.0.1"], "exclude each other"),
    (["vm", "--userdata", "x", "--userdata-file", "y"], "exclude each other"),
    (["vm", "--counts", "1"], "did you mean"),
    (["vm", "--persistent=maybe"], "neither true nor false"),
])
def test_refused(args, message):
    result = new(*args)
    assert result.returncode == 2, result.stdout
    assert result.stdout == ""
    assert message in result.stderr


def test_full_output():
    with open("/dev/full", "w") as full:
        result = subprocess.run([find_program(), "new", "vm"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
    assert result.returncode == 1
    assert "No space left" in result.stderr


def test_help_names_every_option():
    result = new("--help")
    assert result.returncode == 0
    for option in ("--count", "--isolated-range", "--find-ssh-keys", "--storage-size", "--graceful-shutdown"):
        assert option in result.stdout
