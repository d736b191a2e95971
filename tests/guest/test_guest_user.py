# SPDX-License-Identifier: MIT
"""Without root: a daemon of an ordinary user, and connections into its guest, by the configuration's forwards and by
`slicer vm forward`."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest
from slicertest import Daemon, descendants, find_processes, run, until
from slicertest.daemon import free_port
from slicertest.forward import Forward, connect, echoed, recv_all
from slicertest.hostspace import without_passt
from slicertest.userns import has_user_namespaces

NOBODY = 65534
PORT, UNIX = 7000, "/run/echo.sock"
DATA = os.urandom(1 << 20)
HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def home(store):
    """A directory of that user, with a store of its own in it; pytest's are root's alone."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="slicer-user."))
    try:
        shutil.copytree(store, top / "store", ignore=shutil.ignore_patterns("lock", "templates", "tmp"))
        for name in ("run", "state", "work"):
            (top / name).mkdir(mode=0o700)
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield top
    finally:
        shutil.rmtree(top)


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def daemon(home, port):
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "XDG_STATE_HOME": str(home / "state"),
           "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
    network = {"mode": "user", "forwards": [f"{port}:{PORT}"]}
    with Daemon(home / "work", hypervisor="qemu", store=home / "store", env=env, group={"count": 1, "network": network},
                prefix=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]) as d:
        yield d
    assert find_processes(str(home)) == []


@pytest.fixture(scope="module")
def vm(daemon, home):
    name = f"{daemon.group}-1"
    until(lambda: daemon.client.get(f"/vm/{name}/health").status == 200, 120, f"{name} answers")
    subprocess.run(["cc", "-static", "-O2", "-o", home / "unix_echo", HERE / "unix_echo.c"], check=True)
    daemon.cli.ok("vm", "cp", home / "unix_echo", f"{name}:/tmp/unix_echo")
    serve = f"setsid nc -ll -p {PORT} -e cat >/dev/null 2>&1 </dev/null & setsid /tmp/unix_echo {UNIX} >/dev/null 2>&1 </dev/null &"
    serve += f" until nc 127.0.0.1 {PORT} </dev/null && [ -S {UNIX} ]; do sleep 0.1; done"
    done = run(daemon.client, name, "sh", "-c", serve, uid=0, gid=0)
    assert done.exit_code == 0, done.stderr
    return name


def rights(pid):
    """Its users, and what it may do outside of a user namespace of its own."""
    lines = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    ours = os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user")
    return {*lines["Uid"].split(), *lines["Gid"].split()}, int(lines["CapEff"], 16) if ours else 0


def test_nothing_of_it_is_roots(daemon, vm):
    pids = [daemon.pid, *descendants(daemon.monitor_pid(vm)), daemon.monitor_pid(vm)]
    assert daemon.vmm_pid(vm) in pids
    assert {pid: rights(pid) for pid in pids} == {pid: ({str(NOBODY)}, 0) for pid in pids}


def test_a_configured_port_leads_into_the_guest(vm, port):
    with connect(port) as sock:
        assert echoed(sock, DATA) == DATA
        sock.shutdown(socket.SHUT_WR)
        assert recv_all(sock) == b"", "its end comes back, too"


def test_forward_to_a_port_and_to_a_socket_of_the_guest(daemon, vm, home):
    near = home / "near.sock"
    with Forward(daemon.cli, vm, "-L", f"0:127.0.0.1:{PORT}", "-L", f"{near}:{UNIX}", "-L", f"127.0.0.1:0:{UNIX}") as forward:
        ports = [forward.port(), forward.port()]
        for one in ports:
            with connect(one) as sock:
                assert echoed(sock, DATA) == DATA
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(near))
            assert echoed(sock, DATA) == DATA
    assert forward.process.returncode == 0 and not near.exists()


def test_the_log_says_what_is_missing(daemon, vm):
    said = [line for line in daemon.log_text().splitlines() if "said once" in line]
    assert len(said) == 1 and f"[{vm}] no control group of its own: that needs root" in said[0], said
    assert ("no jail" in said[0]) == (not has_user_namespaces())


def own_address():
    """Of this host, not the loopback: which one leads out. None where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("203.0.113.1", 9))
        return sock.getsockname()[0]


def test_the_guest_reaches_out(daemon, vm):
    """As any program of that user does: a service at an address of the host."""
    address = own_address()
    assert address, "the test needs a network with a default route"
    with socket.create_server((address, 0)) as server:
        got = []

        def take():
            one, _ = server.accept()
            with one:
                got.append(recv_all(one))
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        script = f"head -c 1048576 /dev/zero | nc {address} {server.getsockname()[1]}"
        assert run(daemon.client, vm, "timeout", "90", "sh", "-c", script, timeout=120).exit_code == 0
        thread.join(60)
        assert got == [bytes(1 << 20)]


def test_without_passt_there_is_no_network_but_all_that_goes_through_the_agent(store, tmp_path):
    """QEMU's own stack, which by itself would lead to the host's loopback (10.0.2.2) and its resolver (10.0.2.3)."""
    address = own_address()
    assert address, "the test needs a network with a default route"
    with Daemon(tmp_path, hypervisor="qemu", prefix=without_passt()) as d, \
            socket.create_server(("127.0.0.1", 0)) as loopback, socket.create_server((address, 0)) as own:
        vm = d.client.create(d.group, timeout="120s")["hostname"]
        assert "passt is not installed" in d.log_text()

        def knocks(to, port):
            return run(d.client, vm, "timeout", "8", "nc", "-w", "5", to, str(port), uid=0, gid=0).exit_code == 0
        assert run(d.client, vm, "sh", "-c", "ip -4 addr show dev eth0 | grep -q 10.0.2.15/24").exit_code == 0
        serve = f"setsid nc -ll -p {PORT} -e cat >/dev/null 2>&1 </dev/null & until nc 127.0.0.1 {PORT} </dev/null; do sleep 0.1; done"
        assert run(d.client, vm, "timeout", "90", "sh", "-c", serve, uid=0, gid=0, timeout=120).exit_code == 0
        assert knocks("127.0.0.1", PORT), "the test can fail"
        for to, port in (("10.0.2.2", loopback.getsockname()[1]), ("10.0.2.2", own.getsockname()[1]),
                         (address, own.getsockname()[1]), ("10.0.2.3", 53)):
            assert not knocks(to, port), (to, port)
        for server in (loopback, own):
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
        with Forward(d.cli, vm, "-L", f"127.0.0.1:0:127.0.0.1:{PORT}") as forward, connect(forward.port()) as sock:
            assert echoed(sock, DATA) == DATA
