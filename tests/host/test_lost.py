# SPDX-License-Identifier: MIT
"""What is under way with a VM that ends meanwhile: exec, shell, cp and forward say what became of it."""
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from slicertest import descendants, exec_stream, find_processes, open_files, until
from slicertest.forward import Forward, connect, recv_all
from slicertest.shell import Shell

KILLED = "has ended: its VMM was killed by SIGKILL"


@pytest.fixture(params=[False, True], ids=["ephemeral", "kept"])
def one(fake, request):
    """(name, what its command line and API say of it once its VMM was killed)"""
    name = fake.client.create(fake.group, persistent=request.param)["hostname"]
    yield name, f'VM "{name}" {KILLED}'
    if fake.client.get(f"/vm/{name}").status == 200:
        fake.client.delete(f"/hostgroup/{fake.group}/nodes/{name}")


def kill(fake, vm):
    os.kill(fake.vmm_pid(vm), signal.SIGKILL)


def test_exec_frames(fake, one):
    frames = exec_stream(fake.client, one[0], "sh", "-c", "echo begun; sleep 99")
    assert next(frames)["type"] == "started"
    assert next(frames)["stdout"] == "begun\n"
    kill(fake, one[0])
    last = list(frames)
    assert len(last) == 1 and last[0]["type"] == "exit" and last[0]["exit_code"] == 255, last
    assert last[0]["error"] == one[1]


def test_exec_frames_of_one_whose_monitor_is_slow(fake, one):
    """As on a busy disk: it writes down how the VM ended before it tells."""
    frames = exec_stream(fake.client, one[0], "sleep", "99")
    assert next(frames)["type"] == "started"
    monitor = fake.monitor_pid(one[0])
    os.kill(monitor, signal.SIGSTOP)
    kill(fake, one[0])
    time.sleep(1.5)  # by then the daemon has looked itself
    os.kill(monitor, signal.SIGCONT)
    assert [frame["error"] for frame in frames] == [one[1]]


def test_exec_whose_output_does_not_end(fake, one):
    """A frame that was cut in two by the end is none."""
    frames = exec_stream(fake.client, one[0], "cat", "/dev/zero", stdio="base64")
    for _ in range(200):
        last = next(frames)
    kill(fake, one[0])
    for last in frames:
        pass
    assert last["type"] == "exit" and last["error"] == one[1]


def test_exec_buffered(fake, one):
    answers = []
    query = {"cmd": "sleep", "args": ["98.5"], "buffered": True}
    asking = threading.Thread(target=lambda: answers.append(fake.client.post(f"/vm/{one[0]}/exec", query)))
    asking.start()
    until(lambda: find_processes("sleep", "98.5"), 10)
    kill(fake, one[0])
    asking.join(60)
    assert answers[0].status == 500 and answers[0].json == {"error": one[1]}


def test_gone_vm_is_remembered(fake):
    name = fake.client.create(fake.group)["hostname"]
    kill(fake, name)
    until(lambda: fake.client.get(f"/vm/{name}").status == 404, 20)
    done = fake.cli("vm", "exec", name, "--", "true")
    assert done.returncode == 1
    assert done.stderr.decode() == f'slicer: error: there is no VM "{name}" any more: it {KILLED}\n'
    again = fake.client.create(fake.group)["hostname"]
    assert again == name, "its number is free again"
    fake.client.delete(f"/hostgroup/{fake.group}/nodes/{name}")
    assert fake.client.get(f"/vm/{name}").json["error"] == f'there is no VM "{name}" any more: it was deleted'


def start_cli(fake, *words):
    return fake.cli.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    """Its standard input stays open until it has ended."""
    code = process.wait(60)
    out, err = process.stdout.read(), process.stderr.read().decode()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    return code, out, err


def test_cli_exec(fake, one):
    process = start_cli(fake, "vm", "exec", one[0], "--", "echo begun; sleep 97")
    assert process.stdout.read(6) == b"begun\n"
    kill(fake, one[0])
    code, out, err = ended(process)
    assert (code, err) == (255, f"slicer: error: {one[1]}\n")


def test_cli_exec_of_a_vm_that_is_deleted(fake, one):
    process = start_cli(fake, "vm", "exec", one[0], "--", "echo begun; sleep 97")
    assert process.stdout.read(6) == b"begun\n"
    fake.cli.ok("vm", "delete", one[0])
    assert ended(process)[::2] == (255, f'slicer: error: VM "{one[0]}" was deleted\n')


def test_cli_shell(fake, one):
    process = start_cli(fake, "vm", "shell", one[0])
    process.stdin.write(b"echo be''gun\n")
    process.stdin.flush()
    said = b""
    while b"begun" not in said:
        said += process.stdout.read1()
    kill(fake, one[0])
    code, out, err = ended(process)
    assert code == 1 and err.endswith(f"slicer: error: the shell was lost: {one[1]}\n")


def test_shell_close_code(fake, one):
    with Shell(fake.client, one[0]) as shell:
        shell.type("echo be''gun\n")
        shell.expect("begun")
        kill(fake, one[0])
        shell.read_to_close()
        assert shell.close_code == 1011


def guest_has_open(fake, vm, path):
    return any(str(path) in name for pid in descendants(fake.vmm_pid(vm)) for _, name in open_files(pid))


def test_cli_cp_from(fake, one, tmp_path):
    """The answer has begun when the VM ends."""
    big, here = tmp_path / "big", tmp_path / "here"
    here.mkdir()
    with open(big, "wb") as file:
        file.truncate(64 << 30)
    process = start_cli(fake, "vm", "cp", "--uid", "0", f"{one[0]}:{big}", here / "copy")
    until(lambda: any(path.stat().st_size for path in here.iterdir()), 20)
    kill(fake, one[0])
    code, out, err = ended(process)
    assert code == 1 and err.startswith("slicer: error: the transfer broke off: ") and KILLED.partition(": ")[2] in err, err
    assert not list(here.iterdir()), "half a file is none"


def test_cli_cp_to(fake, one, tmp_path):
    fifo, there = tmp_path / "fifo", tmp_path / "there"
    there.mkdir()
    os.mkfifo(fifo)
    process = start_cli(fake, "vm", "cp", "--uid", "0", fifo, f"{one[0]}:{there}/copy")
    with open(fifo, "wb", buffering=0) as pipe:
        for _ in range(16):
            pipe.write(bytes(64 << 10))
        until(lambda: guest_has_open(fake, one[0], there), 20)
        kill(fake, one[0])
        until(lambda: fake.client.get(f"/vm/{one[0]}").json.get("status") != "Running", 20)
    code, out, err = ended(process)
    assert (code, err) == (1, f"slicer: error: {one[1]}\n")


def test_cli_forward(fake, one):
    with socket.create_server(("127.0.0.1", 0)) as server, \
            Forward(fake.cli, one[0], f"0:127.0.0.1:{server.getsockname()[1]}") as forward:
        port = forward.port()
        with connect(port) as sock:
            sock.sendall(b"x")
            peer = server.accept()[0]
            assert peer.recv(1) == b"x"
            kill(fake, one[0])
            assert recv_all(sock) == b""
            peer.close()
        assert forward.line("broke off: (.*)")[1] == one[1]
        with contextlib.suppress(ConnectionResetError), connect(port) as sock:
            assert recv_all(sock) == b""
        assert forward.line("a connection was not forwarded: ")
