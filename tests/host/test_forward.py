# SPDX-License-Identifier: MIT
"""Connections into a guest through its agent: the WebSocket, and `slicer vm forward`. The fake hypervisor's guest has the
network of the test, so what it dials is served here."""
import contextlib
import hashlib
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest
from slicertest import WebSocket, proc, rss, until
from slicertest.forward import Forward, connect, recv_all, recv_exact
from slicertest.ws import BINARY, TEXT, Refused

MIB = 1 << 20


class Server:
    """Serves each connection by `handle` in a thread of its own; address is what the guest dials."""

    def __init__(self, handle, path=None):
        self.handle, self.path = handle, path
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
        self.sock.bind(str(path) if path else ("127.0.0.1", 0))
        self.sock.listen(256)
        self.threads, self.errors = [], []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.sock.getsockname()[1]

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                one = self.sock.accept()[0]
            except OSError:
                return
            one.settimeout(60)
            thread = threading.Thread(target=self.serve, args=(one,), daemon=True)
            thread.start()  # before check() can see it: one that has not started cannot be joined
            self.threads.append(thread)

    def serve(self, one):
        try:
            with one:
                self.handle(one)
        except Exception as e:  # told by check()
            self.errors.append(e)

    def check(self, seconds=60):
        until(lambda: self.threads, seconds)
        for thread in list(self.threads):
            thread.join(seconds)
            assert not thread.is_alive()
        assert not self.errors, self.errors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


class Tunnel(WebSocket):
    def __init__(self, client, vm, upstream, **kwargs):
        self.received = b""
        super().__init__(client, f"/vm/{vm}/forward", X_Inlets_Upstream=upstream, X_Inlets_Mode="local", **kwargs)

    def take(self, data):
        self.received += data

    def send(self, data):
        self.message(BINARY, data)

    def read_exact(self, n):
        while len(self.received) < n:
            assert self.step(), f"closed with {self.close_code} after {len(self.received)} bytes"
        data, self.received = self.received[:n], self.received[n:]
        return data

    def read_to_close(self):
        while self.step():
            pass
        return self.received


# --- the WebSocket

def test_bytes_pass_and_either_end_closes_with_1000(api, vm):
    with Server(echo) as server, Tunnel(api, vm, server.address) as one:
        data = os.urandom(200_000)  # in one message, larger than any window
        one.send(data)
        assert one.read_exact(len(data)) == data
        assert one.largest <= 32768
        one.close()
        one.read_to_close()
        assert one.close_code == 1000
        server.check()


def test_what_the_guest_wrote_before_its_end_arrives(api, vm):
    data = os.urandom(3 * MIB)

    def write_and_close(sock):
        sock.sendall(data)

    with Server(write_and_close) as server, Tunnel(api, vm, server.address) as one:
        assert one.read_to_close() == data
        assert one.close_code == 1000


def test_what_the_client_wrote_before_its_end_arrives(api, vm):
    got = []
    data = os.urandom(3 * MIB)
    with Server(lambda sock: got.append(recv_all(sock))) as server, Tunnel(api, vm, server.address) as one:
        for i in range(0, len(data), 30000):
            one.send(data[i:i + 30000])
        one.close()
        one.read_to_close()
        assert one.close_code == 1000
        server.check()
    assert got == [data]


def test_a_reset_in_the_guest_is_no_clean_end(api, vm):
    def reset(sock):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Server(reset) as server, Tunnel(api, vm, server.address) as one:
        one.send(b"x")
        with pytest.raises((AssertionError, OSError)):
            one.read_to_close()
        assert one.close_code is None


def test_a_client_that_vanishes_ends_the_connection_in_the_guest(api, vm):
    ended = threading.Event()

    def wait_for_end(sock):
        recv_all(sock)
        ended.set()

    with Server(wait_for_end) as server:
        one = Tunnel(api, vm, server.address)
        one.send(b"x")
        one.cut()
        assert ended.wait(60)


def test_unix_socket_and_names(api, vm, tmp_path):
    with Server(echo, tmp_path / "echo.sock") as server, Tunnel(api, vm, server.address) as one:
        one.send(b"hello")
        assert one.read_exact(5) == b"hello"
    with Server(echo) as server, Tunnel(api, vm, f"localhost:{server.port}") as one:
        one.send(b"hello")
        assert one.read_exact(5) == b"hello"


def test_a_name_is_looked_up_in_the_guest(api, vm):
    known = [name for line in open("/etc/hosts") for name in line.split("#")[0].split()[1:]
             if line.startswith("127.0.0.1") and name != "localhost"]
    with Server(echo) as server:
        for name in known[:1]:
            with Tunnel(api, vm, f"{name}:{server.port}") as one:
                one.send(b"hello")
                assert one.read_exact(5) == b"hello"
    with pytest.raises(Refused) as refused:
        Tunnel(api, vm, "no-such-name.invalid:80")
    assert refused.value.status == 502 and b"does not know" in refused.value.body


@pytest.mark.parametrize("upstream, status, says", [
    ("127.0.0.1:1", 502, b"Connection refused"),
    ("unix:/no/such.sock", 502, b"No such file"),
    ("unix:relative.sock", 400, b"must begin with"),
    ("unix:/" + "x" * 200, 502, b"107 bytes"),
    ("127.0.0.1", 400, b"neither"),
    ("127.0.0.1:0", 400, b"port"),
    ("127.0.0.1:65536", 400, b"port"),
    ("127.0.0.1:http", 400, b"port"),
    ("[::1]:80", 400, b"neither"),
    ("-x:80", 400, b"neither"),
    ("a b:80", 400, b"neither"),
    ("x" * 600 + ":1", 400, b"longer"),
])
def test_refusals(api, vm, upstream, status, says):
    with pytest.raises(Refused) as refused:
        Tunnel(api, vm, upstream)
    assert refused.value.status == status and says in refused.value.body, refused.value


def test_bad_requests(api, vm):
    with pytest.raises(Refused) as refused:
        Tunnel(api, "nosuch-1", "127.0.0.1:80")
    assert refused.value.status == 404
    with pytest.raises(Refused) as refused:
        WebSocket(api, f"/vm/{vm}/forward")
    assert refused.value.status == 400 and b"X-Inlets-Upstream" in refused.value.body
    assert api.get(f"/vm/{vm}/forward").status in (400, 426)
    with Server(echo) as server, Tunnel(api, vm, server.address) as one:
        one.message(TEXT, b"no text")
        with contextlib.suppress(AssertionError, OSError):
            one.read_to_close()
            assert one.close_code == 1003


def test_a_token_is_needed_on_tcp(daemon):
    d = daemon(tcp=True)
    vm = d.client.create(d.group)["hostname"]
    with Server(echo) as server:
        token, d.client.token = d.client.token, "wrong"
        with pytest.raises(Refused) as refused:
            Tunnel(d.client, vm, server.address)
        assert refused.value.status == 401
        d.client.token = token
        with Tunnel(d.client, vm, server.address) as one:
            one.send(b"x")
            assert one.read_exact(1) == b"x"


def test_a_reader_that_stalls_stops_the_writer(fake, api, vm):
    """Backpressure from end to end: the daemon and the agent hold a window, not the file."""
    sent = [0]

    def pour(sock):
        block = bytes(1 << 16)
        sock.settimeout(3)
        with contextlib.suppress(OSError):
            while sent[0] < 512 * MIB:
                sent[0] += sock.send(block)

    before = rss(fake.pid)
    with Server(pour) as server, Tunnel(api, vm, server.address):
        server.check()
        assert sent[0] < 64 * MIB
        assert rss(fake.pid) - before < 8 * MIB


# --- the command line

def both_ways(port, n):
    """Sends n bytes and receives as many at the same time: (sha256 sent, sha256 received)."""
    out, back = hashlib.sha256(), hashlib.sha256()
    with connect(port) as sock:
        def send():
            for i in range(n // MIB):
                block = hashlib.sha256(b"%d" % i).digest() * (MIB // 32)
                out.update(block)
                sock.sendall(block)
        thread = threading.Thread(target=send)
        thread.start()
        left = n
        while left:
            data = sock.recv(min(left, 1 << 16))
            assert data, f"{left} bytes missing"
            back.update(data)
            left -= len(data)
        thread.join()
    return out.hexdigest(), back.hexdigest()


def test_64_mib_both_ways_at_once_in_flat_memory(fake, vm):
    with Server(echo) as server, Forward(fake.cli, vm, f"0:{server.address}") as forward:
        port = forward.port()
        both_ways(port, 2 * MIB)
        watched = [fake.pid, forward.process.pid, *(p for p in fake.agent_pids(vm) if "--control" in proc.cmdline(p))]
        before = [rss(p) for p in watched]
        sent, received = both_ways(port, 64 * MIB)
        assert sent == received
        grown = [rss(p) - b for p, b in zip(watched, before)]
        assert max(grown) < 8 * MIB, grown


def test_200_connections_at_once(fake, vm):
    with Server(echo) as server, Forward(fake.cli, vm, f"0:{server.address}") as forward:
        port = forward.port()
        socks = [connect(port) for _ in range(200)]
        for i, sock in enumerate(socks):
            sock.sendall(b"%04d" % i * 1000)
        for i, sock in enumerate(socks):
            assert recv_exact(sock, 4000) == b"%04d" % i * 1000
        until(lambda: len(server.threads) == 200)  # each is there before it is counted
        for sock in socks:
            sock.close()
        server.check()
    assert b"not forwarded" not in forward.said


def test_several_ports_and_sockets(fake, vm, tmp_path):
    near, deep = tmp_path / "near.sock", tmp_path / "made" / "deep.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(near))
    stale.close()
    with Server(echo) as tcp, Server(echo, tmp_path / "guest.sock") as unix:
        guest = tmp_path / "guest.sock"
        with Forward(fake.cli, vm, "-L", f"0:{tcp.address}", "-L", f"{near}:{guest}", f"{deep}:127.0.0.1:{tcp.port}",
                     f"127.0.0.1:0:{guest}") as forward:
            ports = [forward.port()]
            forward.line("near.sock")
            forward.line("deep.sock")
            ports.append(forward.port())
            for port in ports:
                with connect(port) as sock:
                    sock.sendall(b"over tcp")
                    assert recv_exact(sock, 8) == b"over tcp"
            for path in (near, deep):
                assert path.stat().st_mode & 0o777 == 0o660
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(path))
                    sock.sendall(b"over unix")
                    assert recv_exact(sock, 9) == b"over unix"
            assert deep.parent.stat().st_mode & 0o777 == 0o755
        assert not near.exists() and not deep.exists()
        assert forward.process.returncode == 0


def test_the_only_vm_needs_no_name_and_the_old_names_work(daemon):
    d = daemon()
    d.client.create(d.group)
    with Server(echo) as server:
        for words in (["forward"], ["vm", "port-forward"], ["v", "forward"]):
            process = d.cli.popen(*words, f"0:{server.address}", stderr=subprocess.PIPE)
            said = process.stderr.readline()
            assert said.startswith(b"Forwarding 127.0.0.1:"), said
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0


def test_what_the_guest_refuses_is_said_and_the_rest_goes_on(fake, vm):
    with Server(echo) as server, Forward(fake.cli, vm, "0:127.0.0.1:1", f"0:{server.address}") as forward:
        bad, good = forward.port(), forward.port()
        with contextlib.suppress(ConnectionResetError), connect(bad) as sock:
            assert recv_all(sock) == b""
        assert "Connection refused" in forward.line("not forwarded").string
        with connect(good) as sock:
            sock.sendall(b"x")
            assert recv_exact(sock, 1) == b"x"


def test_ends_pass_through(fake, vm):
    """Both kinds: what came before is there, and neither side waits for the other."""
    data = os.urandom(MIB)
    got = []
    with Server(lambda sock: got.append(recv_all(sock))) as server, Forward(fake.cli, vm, f"0:{server.address}") as forward:
        with connect(forward.port()) as sock:
            sock.sendall(data)
        until(lambda: got, 20)
        assert got == [data]
    with Server(lambda sock: sock.sendall(data)) as server, Forward(fake.cli, vm, f"0:{server.address}") as forward:
        with connect(forward.port()) as sock:
            assert recv_all(sock) == data


def test_a_vm_that_goes_ends_its_connections(daemon):
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    with Server(echo) as server, Forward(d.cli, vm, f"0:{server.address}") as forward:
        port = forward.port()
        with connect(port) as sock:
            sock.sendall(b"x")
            assert recv_exact(sock, 1) == b"x"
            assert d.client.request("DELETE", f"/hostgroup/{d.group}/nodes/{vm}").status == 200
            assert recv_all(sock) == b""
        with contextlib.suppress(ConnectionResetError), connect(port) as sock:
            assert recv_all(sock) == b""
        assert "there is no VM" in forward.line("not forwarded").string


def test_the_daemon_ends_with_connections_open(daemon):
    d = daemon()
    vm = d.client.create(d.group)["hostname"]
    with Server(echo) as server, Forward(d.cli, vm, f"0:{server.address}") as forward:
        with connect(forward.port()) as sock:
            sock.sendall(b"x")
            assert recv_exact(sock, 1) == b"x"
            d.stop()
            assert recv_all(sock) == b""


@pytest.mark.parametrize("args, says", [
    ([], b"what is to be forwarded"),
    (["-L", "80"], b"needs a colon"),
    (["-L", "1:2:3:4:5"], b"too many parts"),
    (["-L", "70000:127.0.0.1:80"], b"port"),
])
def test_bad_usage(fake, vm, args, says):
    done = fake.cli("vm", "forward", vm, *args)
    assert done.returncode == 2 and says in done.stderr, done


def test_a_port_in_use_and_an_unknown_vm(fake, vm):
    with Server(echo) as server:
        done = fake.cli("vm", "forward", vm, f"{server.port}:127.0.0.1:80")
        assert done.returncode == 1 and b"another port" in done.stderr and b"in use" in done.stderr, done
    done = fake.cli("vm", "forward", "nosuch-1", "0:127.0.0.1:80")
    assert done.returncode == 1 and b"nosuch-1" in done.stderr
    done = fake.cli("vm", "forward", vm, "203.0.113.1:80")
    assert done.returncode == 1 and b"address to listen on" in done.stderr, done
