# SPDX-License-Identifier: MIT
"""The shell over a WebSocket, and the command line's terminal."""
import fcntl
import os
import pty
import select
import struct
import termios
import time

import pytest
from slicertest import Shell, alive, descendants, find_processes, until
from slicertest import shell as frames

PROMPT = "PS1='> '; stty -echo; echo REA''DY\n"


@pytest.fixture
def shell(api, vm):
    with Shell(api, vm, shell="/bin/bash", uid=0) as one:
        one.type(PROMPT)
        one.expect("READY")
        yield one


def test_echo_and_exit(shell):
    shell.type("echo $((6*7))\n")
    shell.expect("42")
    shell.type("exit 3\n")
    shell.read_to_close()
    assert shell.session_closed and shell.close_code == 1000


def test_it_is_a_terminal_with_the_given_size(shell):
    shell.type("tty; stty size\n")
    assert b"/dev/pts/" in shell.expect("24 80")
    shell.resize(132, 50)
    shell.type("stty size\n")
    shell.expect("50 132")


def test_the_terminal_echoes(api, vm):
    with Shell(api, vm, shell="/bin/bash", uid=0) as one:
        one.type("exec sh -c 'stty sane; echo REA\"\"DY; exec cat'\n")
        one.expect("READY\r\n")
        one.type("hello\n")
        one.expect("hello\r\n")
        one.expect("hello\r\n")
        one.type("\x04")
        one.read_to_close()
        assert one.session_closed


def test_all_bytes_pass(shell):
    """To a program that takes the terminal raw, and back."""
    shell.type("stty raw; echo GO''; head -c 65536 | md5sum; stty sane -echo; echo DO''NE\n")
    shell.expect("GO")
    data = bytes(range(256)) * 256
    for i in range(0, len(data), 4096):
        shell.type(data[i:i + 4096])
    import hashlib
    assert hashlib.md5(data).hexdigest().encode() in shell.expect("DONE")
    shell.type("stty raw; printf 'BEG''IN'; head -c 300000 /dev/zero | tr '\\0' '\\377'; printf 'EN''D'; stty sane -echo\n")
    shell.expect("BEGIN")
    assert shell.expect("END") == b"\xff" * 300000
    assert shell.largest <= 32768


def test_control_c_interrupts(shell):
    shell.type("sh -c 'echo RUN''S; exec sleep 1000'\n")
    shell.expect("RUNS")
    shell.type("\x03")
    shell.expect("> ")  # what is typed before the shell is back may be lost
    shell.type("echo aft''er\n")
    shell.expect("after")


def test_user_directory_and_shell(api, vm):
    with Shell(api, vm, uid=0, shell="/bin/sh", cwd="/usr") as one:
        one.type("echo \"[$(id -u) $PWD $0 $TERM $HOME]\"\n")
        one.expect("[0 /usr ")
    with Shell(api, vm, shell="/bin/sh") as one:
        one.type("echo \"[$(id -u)]\"\n")
        import pwd
        first = min((p.pw_uid for p in pwd.getpwall() if 1000 <= p.pw_uid < 65534), default=0)
        one.expect(f"[{first}]")


def test_refusals(api, vm):
    for params in ({"shell": "/no/such/shell"}, {"uid": "x"}, {"cwd": "/no/such/dir"}):
        try:
            with Shell(api, vm, **params) as one:
                one.read_to_close()
                assert one.closed
        except frames.Refused as refused:
            assert refused.status in (400, 404) and b"error" in refused.body
    with pytest.raises(frames.Refused) as refused:
        Shell(api, "nosuch-1")
    assert refused.value.status == 404


def test_without_an_upgrade_it_is_400(api, vm):
    answer = api.get(f"/vm/{vm}/shell")
    assert answer.status in (400, 426) and answer.error
    for name, value in (("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Key", "short"), ("Connection", "close")):
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", name: value}
        answer = api.get(f"/vm/{vm}/shell", headers=headers)
        assert answer.status in (400, 426), name


def test_a_token_is_needed_on_tcp(store, daemon):
    d = daemon(tcp=True)
    vm = d.client.create(d.group)["hostname"]
    token, d.client.token = d.client.token, "wrong"
    with pytest.raises(frames.Refused) as refused:
        Shell(d.client, vm)
    d.client.token = token
    assert refused.value.status == 401
    with Shell(d.client, vm, shell="/bin/sh") as one:
        one.type("echo a''b\n")
        one.expect("ab")


def shell_of(fake, vm, word):
    """Processes of the guest with that word in their command line."""
    below = descendants(fake.vmm_pid(vm))
    return [p for p in find_processes(word) if p in below]


@pytest.mark.parametrize("how", ["cut", "shutdown", "close"])
def test_leaving_ends_what_ran(fake, api, vm, how):
    one = Shell(api, vm, shell="/bin/bash", uid=0)
    one.type("sleep 666.25 & sleep 666.25\n")
    pids = until(lambda: (lambda p: p if len(p) == 2 else None)(shell_of(fake, vm, "sleep 666.25")), 10)
    if how == "cut":
        one.cut()
    elif how == "shutdown":
        one.frame(frames.SHUTDOWN)
        one.read_to_close()
    else:
        one.close()
        one.read_to_close()
    until(lambda: not any(alive(p) for p in pids), 5, "the shell's processes are gone")
    one.cut()


def test_heartbeats_unknown_and_broken_frames_do_no_harm(shell):
    shell.frame(frames.HEARTBEAT)
    shell.frame(77, b"future")
    shell.message(frames.BINARY, b"\x01\x00")                                   # short: dropped
    shell.message(frames.BINARY, struct.pack(">BI", 1, 1000) + b"x")            # says more than there is: dropped
    shell.message(frames.TEXT, b"text is ignored")
    shell.frame(frames.WINDOW_SIZE, b"short")
    shell.message(frames.PING, b"ping")
    shell.type("echo st''ill\n")
    shell.expect("still")


def test_masking_and_opcodes_are_checked(api, vm):
    for data in (b"\x82\x01a", b"\xf2\x81\0\0\0\0a", b"\x83\x80\0\0\0\0", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"):
        one = Shell(api, vm, shell="/bin/sh")
        one.raw.send(data)
        try:
            while one.step():
                pass
            assert one.close_code in (1002, 1009, 1003)
        except (AssertionError, OSError):
            pass  # cut off without a word is an answer, too
        one.cut()
    assert api.get(f"/vm/{vm}/health").status == 200


def test_much_output_that_nobody_reads_holds_nothing_up(fake, api, vm):
    with Shell(api, vm, shell="/bin/bash", uid=0) as one:
        one.type("yes\n")
        pids = until(lambda: shell_of(fake, vm, "yes"), 20)
        time.sleep(1.5)
        assert api.get(f"/vm/{vm}/health").status == 200
    until(lambda: not any(alive(p) for p in pids), 5)


# --- the command line's terminal

def read_for(fd, mark, seconds=60):
    data, deadline = b"", time.monotonic() + seconds
    while mark not in data:
        assert time.monotonic() < deadline, data
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data += os.read(fd, 65536)
            except OSError:
                raise AssertionError(f"ended before {mark!r}: {data!r}") from None
    return data


@pytest.fixture
def terminal(fake, vm):
    """slicer vm shell on a terminal of 100 × 30: (master, process)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(slave)
    process = fake.cli.popen("vm", "shell", vm, "--shell", "/bin/bash", "--uid", "0", stdin=slave, stdout=slave,
                             stderr=slave, start_new_session=True)
    yield master, slave, process, before
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(master)
    os.close(slave)


def test_cli_shell_on_a_terminal(terminal):
    master, slave, process, before = terminal
    said = read_for(master, b"Connected! Press Ctrl+] to exit.")
    assert b"Connecting to VM: " in said
    os.write(master, b"stty size; echo A''B\n")
    assert b"30 100" in read_for(master, b"AB\r\n")
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 90, 0, 0))
    process.send_signal(28)  # SIGWINCH: there is no controlling terminal to send it
    os.write(master, b"until stty size | grep -x '40'' 90'; do sleep 0.1; done\n")
    read_for(master, b"40 90\r\n")
    os.write(master, b"exit\n")
    assert process.wait(60) == 0
    assert termios.tcgetattr(slave)[3] == before[3], "the terminal is as it was"


def test_cli_shell_ctrl_right_bracket_leaves(fake, vm, terminal):
    master, slave, process, before = terminal
    read_for(master, b"to exit.")
    os.write(master, b"sleep 777.5\n")
    pids = until(lambda: shell_of(fake, vm, "sleep 777.5"), 10)
    os.write(master, b"\x1d")
    assert process.wait(60) == 0
    until(lambda: not any(alive(p) for p in pids), 5)
    assert termios.tcgetattr(slave)[3] == before[3]


def test_cli_shell_takes_a_script(fake, vm):
    out = fake.cli.ok("vm", "shell", vm, "--shell", "/bin/bash", input=b"echo s''cript\nexit\n")
    assert b"script" in out
