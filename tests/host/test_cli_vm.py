# SPDX-License-Identifier: MIT
"""The command line with a real daemon and agent: shells on a terminal, copies, logs."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
from slicertest import until


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, cli, *args, columns=100, rows=30):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = cli.popen(*args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern.encode(), self.seen)):
            assert time.monotonic() < end, (pattern, self.seen[-2000:])
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        self.seen = self.seen[found.end():]
        return found

    def drain(self):
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)

    def ends(self, code):
        def ended():
            self.drain()
            return self.process.poll() is not None
        until(ended, 10, "it ends")
        self.drain()
        assert self.process.returncode == code
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(fake, vm):
    def open_shell(*args, **kwargs):
        t = Terminal(fake.cli, "vm", "shell", vm, *args, **kwargs)
        t.expect("Connecting to VM: " + vm)
        t.expect(r"Connected! Press Ctrl\+\] to exit\.")
        return t
    return open_shell


def processes_with(mark):
    return subprocess.run(["pgrep", "-f", mark], capture_output=True).stdout.split()


def test_shell_has_the_terminal_s_size(terminal):
    with terminal(columns=123, rows=45) as t:
        t.type("stty size\n")
        t.expect("45 123")
        t.resize(77, 11)
        t.type("until stty size | grep -x '11'' 77'; do sleep 0.1; done\n")
        t.expect("11 77")
        t.type("exit\n")
        t.ends(0)


def test_shell_is_raw(terminal):
    with terminal() as t:
        t.expect(r"[$#] ")
        t.type("echo st''art; cat -v\n")
        t.expect("start")
        t.type("\x01x\n")  # to the guest, and not eaten here: echoed there, and printed by cat
        t.expect(r"\^Ax\r\n\^Ax")
        t.type("\x03")
        t.expect(r"\^C")
        t.expect(r"[$#] ")  # what is typed before the shell is back may be lost
        t.type("echo al''ive\n")
        t.expect("alive")
        t.type("exit\n")
        t.ends(0)


def test_detach_ends_the_shell_of_the_guest(terminal):
    with terminal() as t:
        t.type("sleep 98765\n")
        t.expect("sleep 98765")
        until(lambda: processes_with("^sleep 98765"), 10, "the command runs")
        t.type("\x1d")
        t.ends(0)
    until(lambda: not processes_with("^sleep 98765"), 10, "the command has ended")


@pytest.mark.parametrize("number,code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_signals_restore_the_terminal(terminal, number, code):
    with terminal() as t:
        t.type("echo re''ady\n")
        t.expect("ready")
        t.process.send_signal(number)
        t.ends(code)


def test_bootstrap_and_options(terminal):
    with terminal("--bootstrap", "echo boot''strap $(id -u) $PWD", "--uid", "0", "--cwd", "/tmp") as t:
        t.expect("bootstrap 0 /tmp")
        t.type("exit\n")
        t.ends(0)


def test_script_on_standard_input(fake, vm):
    done = fake.cli("vm", "shell", vm, input=b"echo fi''rst; echo $((6*7))\nexit\n", timeout=60)
    assert done.returncode == 0 and b"first" in done.stdout and b"42" in done.stdout
    done = fake.cli("vm", "shell", vm, input=b"echo without ex''it\n", timeout=60)  # ended by the end of the input
    assert done.returncode == 0 and b"without exit" in done.stdout


def test_shell_of_no_vm(fake):
    with Terminal(fake.cli, "vm", "shell", "nosuch") as t:
        t.expect('error: there is no VM "nosuch"')
        t.ends(1)


def test_exec(fake, vm):
    assert fake.cli.ok("exec", vm, "--", "printf '%s|' a 'b c' | tr a x") == b"x|b c|"
    assert fake.cli.ok("exec", vm, "--", "printf", "%s|", "a", "b c", "d'e", "$HOME", "") == b"a|b c|d'e|$HOME||"
    assert fake.cli("exec", vm, "--", "exit 7").returncode == 7
    assert fake.cli("exec", vm, "--", "kill -9 $$").returncode == 137
    assert fake.cli("exec", vm, "--shell", "", "--", "/no/such").returncode == 127
    assert fake.cli.ok("exec", vm, "--uid", "0", "--", "id -u; pwd") == b"0\n/root\n"


@pytest.mark.parametrize("fd, status, out, err", [
    (0, 0, b"0\n", b""), (1, 1, b"", b"cannot write to standard output: Bad file descriptor"), (2, 0, b"0\n", b"")])
def test_exec_with_a_standard_file_closed(fake, vm, fd, status, out, err):
    """As by "slicer vm exec ... >&-": what the program opens first does not get that number."""
    done = fake.cli("exec", vm, "--", "wc -c; echo unseen >&2", preexec_fn=lambda: os.close(fd))
    assert (done.returncode, done.stdout) == (status, out)
    assert err in done.stderr


def test_exec_interrupted_ends_the_command(fake, vm):
    with fake.cli.popen("exec", vm, "--", "echo ready; exec sleep 98764", stdout=subprocess.PIPE,
                        stdin=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == b"ready\n"
        p.send_signal(signal.SIGINT)
        assert p.wait(60) == 130
    until(lambda: not processes_with("^sleep 98764"), 10, "the command has ended")


def test_exec_carries_64_mib_both_ways(fake, vm, tmp_path):
    data = os.urandom(1 << 20) * 64
    assert fake.cli.ok("exec", vm, "--", "cat", input=data, timeout=120) == data


def test_copies(fake, vm, tmp_path):
    src, inside = tmp_path / "src", tmp_path / "inside"  # the fake's guest has the host's files
    inside.mkdir(mode=0o777)
    inside.chmod(0o777)
    (src / "sub").mkdir(parents=True)
    (src / "sub" / "tool").write_text("#!/bin/sh\n")
    (src / "sub" / "tool").chmod(0o755)
    (src / "secret").write_text("x")
    (src / "secret").chmod(0o600)
    fake.cli.ok("cp", "-r", src, f"{vm}:{inside}/new", "--uid", "0", "--gid", "0")
    fake.cli.ok("cp", "-r", src, f"{vm}:{inside}/new", "--uid", "0", "--gid", "0")
    fake.cli.ok("cp", src / "secret", f"{vm}:{inside}/deep/er/file", "--uid", "0", "--gid", "0")
    found = sorted(str(p.relative_to(inside)) for p in inside.rglob("*"))
    assert found == ["deep", "deep/er", "deep/er/file", "new", "new/secret", "new/src", "new/src/secret", "new/src/sub",
                     "new/src/sub/tool", "new/sub", "new/sub/tool"]
    assert (inside / "deep/er/file").stat().st_mode & 0o777 == 0o600
    assert (inside / "new/sub/tool").stat().st_mode & 0o777 == 0o755
    back = tmp_path / "back"
    fake.cli.ok("cp", "-r", f"{vm}:{inside}/new", back, "--exclude", "src/**", "--uid", "0")
    assert sorted(str(p.relative_to(back)) for p in back.rglob("*")) == ["secret", "sub", "sub/tool"]
    assert (back / "sub/tool").stat().st_mode & 0o777 == 0o755
    assert (back / "sub/tool").stat().st_mtime == pytest.approx((src / "sub/tool").stat().st_mtime, abs=1)
    for words, message in ((["cp", "--uid", "0", f"{vm}:{inside}/new", "x"], "is a directory; add --recursive"),
                           (["cp", f"{vm}:/no/such", "x"], "No such file")):
        done = fake.cli(*words)
        assert done.returncode == 1 and message in done.stderr.decode()


def test_logs_are_filtered_on_a_terminal_only(fake, vm):
    log = f"/var/log/slicer/{vm}.txt"
    with open(log, "ab") as out:
        out.write(b"evil \x1b]0;title\x07\x1b[2Jtext\n")
    assert b"\x1b]0;title" in fake.cli.ok("vm", "logs", vm)
    with Terminal(fake.cli, "vm", "logs", vm) as t:
        t.expect("evil text")
        t.ends(0)
        assert b"\x1b" not in t.seen
