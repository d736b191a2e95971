# SPDX-License-Identifier: MIT
"""`slicer vm forward` as it runs, and the sockets on both sides of a connection into a guest."""
import contextlib
import re
import signal
import socket
import subprocess
import threading


def recv_all(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(1 << 16):
            data += more
    return data


def recv_exact(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        assert more, f"the connection ended after {len(data)} of {n} bytes"
        data += more
    return data


def echoed(sock, data):
    """What an echoing far side sends back of data."""
    writer = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
    writer.start()
    back = recv_exact(sock, len(data))
    writer.join(60)
    return back


class Forward:
    """A running `slicer vm forward`."""

    def __init__(self, cli, *args):
        self.process = cli.popen("vm", "forward", *args, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.said = b""

    def line(self, pattern):
        """The first line of stderr that matches."""
        while line := self.process.stderr.readline():
            self.said += line
            if found := re.search(pattern, line.decode()):
                return found
        raise AssertionError(f"ended with {self.process.wait()} without {pattern}: {self.said!r}")

    def port(self):
        return int(self.line(r"^Forwarding [0-9.]+:(\d+) to ")[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, signo=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(signo)
        rest = self.process.communicate(timeout=60)[1]
        self.said += rest
        return self.process.returncode


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)
