# SPDX-License-Identifier: MIT
"""Everything that can be wrong: configurations, hosts, requests and guests. One clear sentence, all undone, the daemon
well."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from slicertest import FAKE_VMM, SOURCE, Daemon, Shell, fd_count, find_processes, leaks, rss, run, until
from slicertest import shell as frames
from slicertest.daemon import LOG, free_port

MIB = 1024 * 1024


def up(daemon, text=None, args=(), prefix=(), env=None, cwd=None):
    """Runs `slicer up` in the daemon's directory; it is to fail within seconds."""
    if text is None:
        daemon.write_config()
    else:
        daemon.file.write_text(text)
    before = leaks.snapshot()
    listing = sorted(os.listdir(daemon.dir))
    done = subprocess.run([*prefix, str(daemon.slicer), "up", *(args or [str(daemon.file)])], cwd=cwd or daemon.dir,
                          env={**daemon.env, **(env or {})}, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, done.stderr
    assert leaks.compare(before) == []
    daemon.listing = listing
    return done.returncode, done.stderr


@pytest.fixture
def stopped(daemon):
    """A daemon that is configured and not started."""
    return daemon(start=False)


GOOD = """config:
  hypervisor: fake
  api: {bind_address: ./api.sock}
  host_groups:
  - name: vm
    count: 1
    ram_gb: 1
    network: {mode: user}
"""


@pytest.mark.parametrize("old, new, line, column, words", [
    ("    count: 1\n", "    count: 1\n    colour: red\n", 7, 5, "colour"),
    ("    count: 1\n", "    count: 1\n    count: 2\n", 7, 5, "count"),
    ("count: 1", "count: many", 6, 12, "count"),
    ("count: 1", "count: -1", 6, 12, "count"),
    ("count: 1", "count: [1]", 6, 12, "count"),
    ("    ram_gb: 1\n", "    ram_gb: 1\n    ram_mb: 512\n", 8, None, "ram"),
    ("mode: user", "mode: teleport", 8, 21, "bridge, isolated, macvtap, user"),
    ("hypervisor: fake", "hypervisor: vmware", 2, 15, "qemu"),
    ("  - name: vm\n", "  - &a name: vm\n", 5, None, ""),
    ("count: 1", "count: !!int 1", 6, 12, ""),
    ("config:", "config: {", None, None, ""),
    ("name: vm", "name: 'V M'", 5, 11, ""),
    ("    network: {mode: user}\n", "    network: {mode: user}\n---\nconfig: {}\n", None, None, ""),
    ("    network: {mode: user}\n", "    network: {mode: user}\n  - {name: vm, network: {mode: user}}\n", 9, None, "vm"),
])
def test_yaml_errors(stopped, old, new, line, column, words):
    code, said = up(stopped, GOOD.replace(old, new))
    assert code == 2
    assert len(said.strip().splitlines()) <= 2, said
    match = re.search(r"slicer\.yaml:(\d+):(\d+): ", said)
    assert match, said
    assert line in (None, int(match.group(1))), said
    assert column in (None, int(match.group(2))), said
    assert words in said
    assert os.listdir(stopped.dir) == ["slicer.yaml"], "nothing is created"


def test_yaml_of_other_kinds(stopped):
    for text in ("", "null\n", "[]\n", "config:\n", "\x00\x01", "a" * 2000000, "config: &x {a: *x}\n", "\t- x\n"):
        code, said = up(stopped, text)
        assert code == 2 and "slicer.yaml" in said, (text[:20], said)
    os.unlink(stopped.file)
    done = subprocess.run([stopped.slicer, "up", stopped.file], env=stopped.env, cwd=stopped.dir, capture_output=True, text=True)
    assert done.returncode != 0 and "slicer.yaml" in done.stderr
    assert os.listdir(stopped.dir) == []


def test_usage_errors(stopped):
    for args in (["--no-such-option"], ["a.yaml", "b.yaml"], ["-f"]):
        code, said = up(stopped, args=args)
        assert code == 2 and said


# --- the host lacks something

def test_qemu_is_missing(stopped, tmp_path):
    stopped.config["hypervisor"] = "qemu"
    (tmp_path / "bin").mkdir()
    code, said = up(stopped, env={"PATH": str(tmp_path / "bin")})
    assert code == 1 and "qemu-system-x86" in said and "apt" in said
    assert len(said.strip().splitlines()) == 1, said
    assert sorted(os.listdir(stopped.dir)) == ["slicer.yaml"]


def test_image_is_missing(stopped):
    stopped.config["host_groups"][0]["image"] = "nosuch"
    code, said = up(stopped)
    assert code == 1 and "nosuch" in said and "slicer image" in said
    assert not os.path.exists(stopped.address)


@pytest.mark.parametrize("image", ["ghcr.io/openfaasltd/slicer-systemd:6.1.90-x86_64-latest", "docker.io/library/debian", "debian:12"])
def test_image_of_a_registry(stopped, image):
    stopped.config["host_groups"][0]["image"] = image
    code, said = up(stopped)
    assert code == 2 and f'"{image}" is in a registry' in said and "image: debian" in said and "slicer image import" in said
    assert re.search(rf"^slicer: error: {re.escape(str(stopped.file))}:\d+:\d+: host group ", said, re.M), said
    assert stopped.listing == sorted(os.listdir(stopped.dir))


def configure(d, key, value):
    of_group = key in ("gpu_count", "template", "warm")
    (d.config["host_groups"][0] if of_group else d.config)[key] = value


@pytest.mark.parametrize("key, value, words", [
    ("gpu_count", 1, "set it to 0"), ("pci", {"router-1": ["0000:04:00.0"]}, "leave it out"),
    ("kernel_image", "ghcr.io/openfaasltd/actuated-kernel:6.1", "kernel_file")])
def test_what_vms_would_lack_is_refused(stopped, key, value, words):
    """They would run without, and nobody would know."""
    configure(stopped, key, value)
    code, said = up(stopped)
    assert code == 2 and words in said, said
    line = next(i for i, text in enumerate(stopped.file.read_text().splitlines(), 1) if f"{key}:" in text)
    assert re.search(rf"^slicer: error: {re.escape(str(stopped.file))}:{line + (key == 'pci')}:\d+: .*{key}", said, re.M), said
    assert stopped.listing == sorted(os.listdir(stopped.dir))


def test_what_has_no_effect_yet_is_said(stopped):
    """What VMs do not lack. With a line, as errors have one."""
    said_of = {"template": True, "warm": 2, "insecure_registry": True, "ssh": {"port": 2222}}
    for key, value in [*said_of.items(), ("gpu_count", 0)]:
        configure(stopped, key, value)
    stopped.start()
    lines = stopped.file.read_text().splitlines()
    for key in said_of:
        line = next(i for i, text in enumerate(lines, 1) if f"{key}:" in text) + (key == "ssh")
        assert re.search(rf"{re.escape(str(stopped.file))}:{line}:\d+: \S*{key}\S* has no effect", stopped.log_text()), key
    assert "gpu_count" not in stopped.log_text()


def test_userdata_file_that_cannot_be_read(stopped):
    """Also when nothing is to be launched at once: the first VM of the API would be the one to fail."""
    group = stopped.config["host_groups"][0]
    group.update(count=0, userdata_file="./nosuch.sh")
    code, said = up(stopped)
    assert code == 1 and f'host group "{group["name"]}": userdata_file: cannot open ./nosuch.sh: No such file' in said
    (stopped.dir / "nosuch.sh").write_bytes(b"#!/bin/sh\n\0")
    code, said = up(stopped)
    assert code == 2 and "userdata_file: ./nosuch.sh is not a text file" in said
    assert not os.path.exists(stopped.address)


def copy_store(store, tmp_path):
    path = tmp_path / "store"
    subprocess.run(["cp", "-a", "--reflink=auto", store, path], check=True)
    return path


def test_kernel_is_missing(stopped, store, tmp_path):
    mine = copy_store(store, tmp_path)
    record = json.loads((mine / "images/micro/image.json").read_text())
    (mine / "images/other").mkdir()
    (mine / "images/other/image.json").write_text(json.dumps({**record, "name": "other"}))
    for vmlinux in mine.glob("kernels/*/vmlinux"):
        vmlinux.unlink()
    stopped.env["SLICER_STORE"] = str(mine)
    stopped.config["host_groups"][0]["image"] = "other"
    code, said = up(stopped)
    assert code == 1 and "kernel" in said
    assert not os.path.exists(stopped.address)


def test_a_helper_program_is_missing(stopped, tmp_path):
    code, said = up(stopped, env={"SLICER_LIBEXECDIR": str(tmp_path)})
    assert code == 1 and "slicer-monitor" in said and str(tmp_path) in said


def test_the_store_is_not_writable_or_no_directory(stopped, tmp_path):
    (tmp_path / "file").write_text("x")
    code, said = up(stopped, env={"SLICER_STORE": str(tmp_path / "file")})
    assert code == 1 and str(tmp_path / "file") in said


def test_kvm_that_is_not_there(stopped, tmp_path):
    """Said at the start, with what to do. What stands at /dev/kvm cannot be opened, whatever this host has."""
    stopped.config.update(hypervisor="qemu", accel="kvm")
    del stopped.env["SLICER_ACCEL"]
    if not os.path.exists("/dev/kvm"):
        prefix = ()
    else:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(tmp_path / "kvm"))
        prefix = ("unshare", "-m", "sh", "-c", f"mount --bind {tmp_path}/kvm /dev/kvm && exec \"$@\"", "sh")
    code, said = up(stopped, prefix=prefix)
    assert code == 1 and "kvm" in said.lower() and ("accel" in said or "modprobe" in said)
    assert f"slicer doctor {stopped.file}" in said


def test_what_is_not_in_this_version_is_said(stopped):
    """With status 2: the unit of `slicer service generate` does not start it again and again."""
    for change in ({"hypervisor": "firecracker"}, {"hypervisor": "cloud-hypervisor"}):
        saved = dict(stopped.config)
        stopped.config.update(change)
        code, said = up(stopped)
        assert code == 2 and list(change.values())[0] in said and "qemu" in said
        stopped.config = saved
    stopped.config["host_groups"][0]["storage"] = "zfs"
    code, said = up(stopped)
    assert code == 2 and "zfs" in said and "overlay" in said


def test_without_privilege(daemon, store):
    """As a user without any right and without a home: it says which directory it may not use."""
    d = daemon(start=False)
    d.dir.chmod(0o755)
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    code, said = up(d, prefix=prefix, env={"HOME": "/nonexistent"})
    assert code == 1 and "ermission" in said
    assert re.search(r"/\S+", said), "the path is named"


# --- space

@pytest.fixture
def small(tmp_path):
    """A filesystem of 1 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    with open(path / "filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 4096)
        except OSError:
            pass


def test_no_space_for_records(small, store):
    d = Daemon(small / "d")
    with d:
        kept = d.client.create(d.group)["hostname"]
        fill(small)
        answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent"})
        assert answer.status == 507 and answer.error, answer
        assert [n["hostname"] for n in d.client.nodes()] == [kept]
        assert run(d.client, kept, "echo", "well").stdout == b"well\n"
        (small / "filler").unlink()
        other = d.client.create(d.group)["hostname"]
        d.client.remove(other)
        fill(small)
        d.client.remove(kept)
        assert d.client.nodes() == []
        (small / "filler").unlink()


def test_no_space_to_start(small, store):
    d = Daemon(small / "d")
    d.write_config()
    d.state_dir.mkdir(parents=True)
    text = d.file.read_text()
    fill(small)
    done = subprocess.run([d.slicer, "up", d.file], cwd=d.dir, env=d.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "No space left on device" in done.stderr and "already" not in done.stderr, done.stderr
    assert not d.run_dir.exists() and text == d.file.read_text()


# --- what is in use

def test_port_in_use(daemon):
    d = daemon(start=False, tcp=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", d.address[1]))
        s.listen()
        code, said = up(d)
        assert code == 1 and str(d.address[1]) in said and "in use" in said and "api.port" in said
        assert d.records() == []
    d.start()


def test_address_of_another_host(daemon):
    d = daemon(start=False, tcp=True)
    d.config["api"]["bind_address"] = "203.0.113.77"
    code, said = up(d)
    assert code == 1 and "no interface of this host has the address 203.0.113.77" in said and "api.bind_address" in said


def test_socket_in_use(daemon):
    d = daemon(start=False)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(d.address)
        s.listen()
        code, said = up(d)
        assert code == 1 and d.address in said and "listens" in said and "bind_address" in said
        assert os.path.exists(d.address), "the other's socket stays"
    # Nobody listens any more: what a crash left is replaced.
    d.start()


def test_a_file_where_the_socket_should_be_is_not_removed(daemon):
    d = daemon(start=False)
    with open(d.address, "w") as f:
        f.write("precious")
    code, said = up(d)
    assert code == 1 and d.address in said
    assert open(d.address).read() == "precious"


def test_second_up_of_the_same_file(daemon):
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    done = subprocess.run([d.slicer, "up", d.file], cwd=d.dir, env=d.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "up already" in done.stderr and str(d.pid) in done.stderr
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"


def test_second_up_from_another_directory(daemon, tmp_path):
    """Its records are elsewhere, so that the VMs would be nobody's to it. The socket is one of its own: nothing else is in the way."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    d = daemon(start=False)
    d.config["api"]["bind_address"] = "./api.sock"
    d.start()
    vm = d.client.create(d.group)["hostname"]
    announced = (d.run_dir.parent / f"{d.id}.json").read_text()

    def again():
        done = subprocess.run([d.slicer, "up", d.file], cwd=elsewhere, env=d.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and (d.run_dir.parent / f"{d.id}.json").read_text() == announced, done.stderr
        return done.stderr
    said = again()
    assert "up already" in said and str(d.dir) in said and str(d.pid) in said
    assert os.listdir(elsewhere) == []
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"
    d.kill()
    assert f"were started in {d.dir}, such as {vm}: run slicer up there" in again()
    d.start()
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"


def test_two_files_in_one_directory(daemon):
    one = daemon()
    two = Daemon(one.dir)
    two.file = one.dir / "other.yaml"
    two.address = two.client.address = str(one.dir / "other.sock")
    two.config["api"]["bind_address"] = two.address
    with two:
        a, b = one.client.create(one.group)["hostname"], two.client.create(two.group)["hostname"]
        assert [n["hostname"] for n in one.client.nodes()] == [a]
        assert [n["hostname"] for n in two.client.nodes()] == [b]
    assert run(one.client, a, "echo", "well").stdout == b"well\n"


def test_two_daemons_with_groups_of_one_name(daemon):
    """Their VMs have the same names, which logs and MAC addresses go by: the second VM of a name is refused, running or not."""
    one, two = daemon(), daemon()
    two.stop()
    two.group = two.config["host_groups"][0]["name"] = one.group
    two.start()
    vm = one.client.create(one.group, persistent=True)["hostname"]
    log = (LOG / f"{vm}.txt").read_bytes()
    assert log

    def refused():
        answer = two.client.post(f"/hostgroup/{two.group}/nodes", {"wait": "agent", "timeout": "30s"}, json={})
        assert answer.status == 409, answer
        assert f"the slicer daemon {one.id} (slicer up {one.file}) has a VM {vm} already" in answer.json["error"]
        assert "give the host group another name" in answer.json["error"]
        assert two.client.nodes() == [] and list((two.state_dir / "vms").iterdir()) == []

    refused()
    assert (LOG / f"{vm}.txt").read_bytes() == log, "it is the first VM's"
    assert one.client.post(f"/vm/{vm}/shutdown").status == 200
    refused()
    assert (LOG / f"{vm}.txt").read_bytes().startswith(log)
    assert one.client.post(f"/vm/{vm}/relaunch").status == 200
    assert one.client.delete(f"/hostgroup/{one.group}/nodes/{vm}").status == 200
    assert two.client.create(two.group)["hostname"] == vm


def test_a_service_that_was_refused_is_in_nobodys_way(daemon):
    one, two = daemon(group={"count": 1}), daemon()
    two.stop()
    two.config["host_groups"] = one.config["host_groups"]
    two.start()
    vm = f"{one.group}-1"
    until(lambda: "has a VM" in (two.client.node(vm) or {}).get("last_error", ""), 10, "it is refused")
    one.stop()
    one.start()
    until(lambda: one.client.get(f"/vm/{vm}/health").status == 200, 10, "the first daemon has its VM again")
    assert "launch failed" not in one.log_text(), "at its first try"


# --- HTTP

REQUESTS = {
    "nothing": (b"\r\n\r\n\r\n\r\nx\r\n\r\n", {400}),
    "not HTTP": (b"hello there\r\n\r\n", {400}),
    "binary": (bytes(range(256)) + b"\r\n\r\n", {400}),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600 + b"\r\n\r\n", {400}),
    "version": (b"GET /info HTTP/3.0\r\nHost: x\r\n\r\n", {400, 505}),
    "no host is tolerated or not": (b"GET /healthz HTTP/1.1\r\n\r\n", {200, 400}),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    "space before colon": (b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", {400}),
    "folded": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", {400}),
    "NUL": (b"GET /healthz HTTP/1.1\r\nHost: a\0b\r\n\r\n", {400}),
    "bare LF or CR": (b"GET /healthz HTTP/1.1\rHost: a\r\r", {400, None}),
    "two lengths": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400}),
    "length and chunks": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "negative length": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", {400}),
    "huge length": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", {400, 413}),
    "unknown coding": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", {400, 501}),
    "bad chunk": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {400, 404}),
    "huge chunk": (b"POST /hostgroup/x/nodes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"ffffffffffffffffff\r\n", {400, 404, 413}),
    "long target": (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {414, 431}),
    "long field": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100000 + b"\r\n\r\n", {431}),
    "many fields": (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 1000 + b"\r\n", {431}),
    "endless head": (b"GET /healthz HTTP/1.1\r\n" + b"X: 1\r\n" * 100000, {431}),
    "bad percent": (b"GET /vm/%zz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "bad query": (b"GET /nodes?tag=%f HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "encoded NUL": (b"GET /nodes?tag=%00 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 200}),
    "connect": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", {400, 404, 405, 501}),
    "options *": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405}),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
}


def talk(api, data, seconds=30):
    """Sends it all, whether or not the other side listens; returns everything that came."""
    with api.raw(seconds) as raw:
        try:
            raw.send(data)
        except OSError:
            pass
        raw.sock.settimeout(seconds)
        out = b""
        try:
            raw.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while more := raw.sock.recv(65536):
                out += more
        except (ConnectionResetError, TimeoutError):
            pass
        return out


@pytest.mark.parametrize("name", REQUESTS)
def test_malformed_requests(fake, api, name):
    data, statuses = REQUESTS[name]
    out = talk(api, data)
    status = int(out.split(b" ", 2)[1]) if out.startswith(b"HTTP/1.") else None
    assert status in statuses, out[:300]
    assert b"evil" not in out
    assert api.get("/healthz").status == 200 and fake.process.poll() is None


def test_a_body_over_the_limit_is_413(fake, api):
    before = rss(fake.pid)
    answer = api.raw()
    with answer as raw:
        raw.head("POST", f"/hostgroup/{fake.group}/nodes", Content_Length=1 << 30)
        assert raw.read_head()[0] == 413
    out = None
    with api.raw() as raw:
        raw.head("POST", f"/hostgroup/{fake.group}/nodes", Transfer_Encoding="chunked")
        try:
            for _ in range(64):
                raw.chunk(b" " * MIB)
        except OSError:
            pass
        try:
            out = raw.read_head()[0]
        except (OSError, AssertionError):
            pass
    assert out in (413, None)
    assert rss(fake.pid) - before < 8 * MIB
    assert api.nodes() == []


def test_smuggling_by_a_body_that_is_not_read(fake, api):
    """What stands in a body is never taken for a request."""
    inner = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
    request = b"POST /vm/nosuch-1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(inner), inner)
    out = talk(api, request + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"evil" not in out
    assert re.findall(rb"HTTP/1\.1 (\d+)", out)[0] == b"404"


def test_slow_clients_are_cut_and_others_served(fake, api):
    """A byte now and then, or none, does not hold a connection beyond the time for a head."""
    ends = {}

    def slow(i):
        start = time.monotonic()
        with api.raw(60) as raw:
            try:
                for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 100:
                    raw.send(bytes([byte]))
                    if i == 0:
                        raw.sock.settimeout(0.01)
                        break
                    time.sleep(0.4)
                raw.sock.settimeout(60)
                data = raw.sock.recv(1000)
            except OSError:
                data = b""
            ends[i] = (time.monotonic() - start, data)
    threads = [threading.Thread(target=slow, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        start = time.monotonic()
        assert api.get("/healthz").status == 200
        assert time.monotonic() - start < 5, "less than a slow client is given"
        time.sleep(0.5)
    for seconds, data in ends.values():
        assert 5 < seconds < 45
        assert data == b"" or b" 408 " in data


def test_thousand_idle_connections_do_not_stop_the_api(fake, api):
    before = fd_count(fake.pid)
    connections = []
    try:
        for _ in range(1000):
            connections.append(api.raw())
        assert api.get("/healthz").status in (200, 503)
    finally:
        for c in connections:
            c.close()
    until(lambda: fd_count(fake.pid) <= before, 10)
    assert api.get("/healthz").status == 200


# --- bytes that look like the protocol's own

def test_bytes_that_look_like_control_lines_do_nothing(fake, api, vm, tmp_path):
    lines = b"".join([b"hello 1\n", b"hello 1 0.1 " + b"0" * 32 + b" x -\n", b"reset " + b"0" * 32 + b"\n",
                      b"await " + b"0" * 32 + b"\n", b"bye poweroff\n", b"0" * 32 + b"\n",
                      b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) * 200
    log = fake.log_text()
    assert run(api, vm, "cat", body=lines, stdio="base64").stdout == lines
    api.write(vm, str(tmp_path / "lines"), lines, uid=0, gid=0)
    assert api.read(vm, str(tmp_path / "lines"), uid=0, gid=0) == lines
    assert (tmp_path / "lines").read_bytes() == lines
    with Shell(api, vm, shell="/bin/bash", uid=0) as shell:
        shell.type("stty raw -echo; echo G''O; head -c %d | md5sum; echo DO''NE\n" % len(lines))
        shell.expect("GO")
        for i in range(0, len(lines), 8192):
            shell.type(lines[i:i + 8192])
        import hashlib
        assert hashlib.md5(lines).hexdigest().encode() in shell.expect("DONE")
    assert run(api, vm, "echo", "well").stdout == b"well\n"
    assert fake.log_text() == log, "the session did not end and begin anew"


# --- a guest that is hostile

@pytest.fixture(scope="module")
def evil(store, tmp_path_factory):
    """A daemon that has one honest VM; evil(mode) makes a hostile one beside it."""
    top = tmp_path_factory.mktemp("evil")
    (top / "modes").mkdir()
    shutil.copy(SOURCE / "tests/lib/slicertest/evilvmm.py", top / "evilvmm")
    (top / "evilvmm").chmod(0o755)
    (top / "real").write_text(str(FAKE_VMM))
    daemon = Daemon(top / "d", env={"SLICER_FAKE_VMM": str(top / "evilvmm")})
    with daemon:
        daemon.honest = daemon.create_whole()
        number = int(daemon.honest.rpartition("-")[2])

        def make(mode):
            for node in daemon.client.nodes():
                if node["hostname"] != daemon.honest:
                    daemon.client.remove(node["hostname"])
            name = f"{daemon.group}-{number + 1}"
            (top / "modes" / name).write_text(mode)
            answer = daemon.client.post(f"/hostgroup/{daemon.group}/nodes")
            if answer.status < 300:
                assert answer.json["hostname"] == name
                return name
            assert mode.startswith("qmp"), answer
            return None
        daemon.make = make
        yield daemon


NEVER_READY = ["control-garbage", "control-endless-line", "control-hello-flood", "control-await-flood", "control-terminal",
               "agent-garbage", "agent-no-echo", "agent-wrong-echo", "agent-zeros", "mux-garbage", "mux-settings-flood",
               "mux-ping-flood", "mux-continuation-flood", "events-garbage", "events-endless-line", "events-wrong-types",
               "qmp-garbage", "qmp-endless"]
# Now and then: what they send ends each session soon.
RESTLESS = ["control-bye-flood", "events-flood"]
READY = ["events-escape", "qmp-garbage-later", "answer-endless", "answer-short",
         "answer-long", "answer-bad-status", "answer-split", "answer-101", "answer-reset", "answer-goaway",
         "answer-other-stream", "answer-even-stream", "answer-frames", "answer-never", "mux-no-pong", "console-flood"]


@pytest.mark.parametrize("mode", NEVER_READY + RESTLESS + READY)
def test_a_hostile_guest(evil, mode):
    api = evil.client
    before = rss(evil.pid)
    log_size = len(evil.log_text())
    vm = evil.make(mode)
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline or (vm and mode in READY and not api.get(f"/vm/{vm}").json["agent_ready"]):
        assert time.monotonic() < deadline + 60
        start = time.monotonic()
        assert api.get("/healthz").status == 200
        assert time.monotonic() - start < 5, "the loop is not held up"
        time.sleep(0.1)
    if vm:
        node = api.node(vm)
        described = api.get(f"/vm/{vm}").json
        assert described["agent_ready"] is (mode in READY) or mode in RESTLESS, described
        assert node["status"] == "Running"
        text = json.dumps(described)
        assert "\x1b" not in text and "<script>" not in node.get("ip", "")
        use(evil, vm)
    assert run(api, evil.honest, "echo", "well").stdout == b"well\n", "the other VM"
    assert rss(evil.pid) - before < 16 * MIB
    assert len(evil.log_text()) - log_size < 64 * 1024, "a guest does not fill the daemon's log"
    if vm:
        api.remove(vm)
    assert not find_processes("evilvmm", f"name={vm}")
    assert evil.process.poll() is None


def use(evil, vm):
    """Each kind of request to that guest: it ends in some way, or the client can leave."""
    api = evil.client
    for method, path in (("GET", "health"), ("POST", "exec?cmd=true"), ("GET", "cp?path=/x")):
        try:
            answer = api.request(method, f"/vm/{vm}/{path}", timeout=0.4)
            assert 200 <= answer.status < 600
            assert "x-evil" not in answer.headers
            if answer.status != 200:
                assert answer.error
        except (TimeoutError, ConnectionError, http.client.IncompleteRead):
            pass
    try:
        with Shell(api, vm, timeout=0.4) as shell:
            shell.type("x")
            shell.step()
    except (OSError, AssertionError, frames.Refused, KeyError):
        pass


def test_a_port_outside_the_range(stopped):
    stopped.config["api"] = {"port": 70000}
    code, said = up(stopped)
    assert code == 2 and "65535" in said and free_port()
