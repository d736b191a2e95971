# SPDX-License-Identifier: MIT
"""`network.forwards`: ports of the host that the daemon leads into a VM through its agent."""
import contextlib
import hashlib
import os
import socket
import threading

import pytest
from slicertest import Daemon, UpFailed, rss, until
from slicertest.daemon import free_port
from test_forward import MIB, Server, connect, echo, recv_all, recv_exact


def group(*forwards, **keys):
    return {"count": 1, "network": {"mode": "user", "forwards": list(forwards)}, **keys}


@pytest.fixture
def served(daemon):
    """A daemon with one forward to an echo server of its VM: (daemon, port)."""
    with Server(echo) as server:
        port = free_port()
        yield daemon(group=group(f"{port}:{server.port}")), port


def test_a_port_leads_into_the_vm_at_once(served):
    d, port = served
    with connect(port) as sock:  # the VM may still boot
        sock.sendall(b"hello")
        assert recv_exact(sock, 5) == b"hello"
    assert [n["hostname"] for n in d.client.nodes()] == [f"{d.group}-1"]


def test_each_direction_ends_by_itself(daemon):
    def answer_when_all_is_there(sock):
        sock.sendall(hashlib.sha256(recv_all(sock)).digest())

    with Server(answer_when_all_is_there) as server:
        port = free_port()
        daemon(group=group(f"127.0.0.1:{port}:127.0.0.1:{server.port}"))
        with connect(port) as sock:
            data = os.urandom(3 * MIB)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            assert recv_all(sock) == hashlib.sha256(data).digest()
        server.check()


def test_much_at_once_in_flat_memory(served):
    d, port = served
    with connect(port) as sock:
        sock.sendall(b"x")
        recv_exact(sock, 1)
        before = rss(d.pid)
        block = os.urandom(MIB)
        thread = threading.Thread(target=lambda: [sock.sendall(block) for _ in range(32)])
        thread.start()
        for _ in range(32):
            assert recv_exact(sock, MIB) == block
        thread.join()
        assert rss(d.pid) - before < 8 * MIB
    socks = [connect(port) for _ in range(100)]
    for i, sock in enumerate(socks):
        sock.sendall(b"%03d" % i)
    for i, sock in enumerate(socks):
        assert recv_exact(sock, 3) == b"%03d" % i
        sock.close()


def test_what_cannot_be_reached_is_said_and_the_peer_is_cut(daemon):
    port = free_port()
    d = daemon(group=group(f"{port}:1"))
    with contextlib.suppress(ConnectionResetError), connect(port) as sock:
        assert recv_all(sock) == b""
    until(lambda: f"a connection to forward {port}:1 failed" in d.log_text() and "Connection refused" in d.log_text(), 10)


def test_a_stopped_vm_and_a_new_daemon(served):
    d, port = served
    vm = f"{d.group}-1"
    with connect(port) as sock:
        sock.sendall(b"x")
        assert recv_exact(sock, 1) == b"x"
        assert d.client.post(f"/vm/{vm}/shutdown").status == 200
        assert recv_all(sock) == b""
    with contextlib.suppress(ConnectionResetError), connect(port) as sock:
        assert recv_all(sock) == b""
    d.kill()
    d.start()
    with connect(port) as sock:
        sock.sendall(b"y")
        assert recv_exact(sock, 1) == b"y"


def test_a_port_in_use_ends_up(store, tmp_path):
    with Server(echo) as server:
        with pytest.raises(UpFailed) as failed, Daemon(tmp_path, group=group(f"{server.port}:22")):
            pass
        assert f"{server.port}:22" in str(failed.value) and "in use" in str(failed.value)


def test_ambiguous_forwards_are_refused(store, tmp_path):
    for count in (0, 2):
        with pytest.raises(UpFailed) as failed, Daemon(tmp_path / str(count), group=group("2222:22", count=count)):
            pass
        assert failed.value.returncode == 2 and "set count: 1" in str(failed.value)
