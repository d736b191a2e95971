# SPDX-License-Identifier: MIT
"""Six tests of real guests with a daemon and a monitor that watch their memory (ASan, UBSan, leaks at the end)."""
import os
import signal
import time

import pytest
from slicertest import Shell, boot_id, exec_stream, run, until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def asan_vm(asan):
    return asan.client.create(asan.group, timeout="200s", persistent=True)["hostname"]


def test_asan_exec(asan, asan_vm):
    data = os.urandom(8 * MIB)
    done = run(asan.client, asan_vm, "cat", body=data, stdio="base64", timeout=120)
    assert done.stdout == data
    assert run(asan.client, asan_vm, "/no/such").exit_code == 127


def test_asan_cp(asan, asan_vm):
    data = os.urandom(8 * MIB)
    asan.client.write(asan_vm, "/tmp/f", data)
    assert asan.client.read(asan_vm, "/tmp/f") == data
    assert asan.client.get(f"/vm/{asan_vm}/cp", {"path": "/no/such"}).status == 404


def test_asan_shell(asan, asan_vm):
    with Shell(asan.client, asan_vm) as shell:
        shell.type("echo a''b\n")
        shell.expect("ab")
        shell.type("exit\n")
        shell.read_to_close()


def test_asan_clients_that_leave(asan, asan_vm):
    for _ in range(20):
        with asan.client.raw() as raw:
            raw.head("POST", f"/vm/{asan_vm}/exec", {"cmd": "yes"}, Content_Length=0)
            raw.recv()
        with Shell(asan.client, asan_vm) as shell:
            shell.type("yes\n")
        frames = exec_stream(asan.client, asan_vm, "sleep", "1000")
        next(frames)
        frames.close()
    assert run(asan.client, asan_vm, "echo", "well").stdout == b"well\n"


def test_asan_reboot_and_relaunch(asan):
    c = asan.client
    vm = c.create(asan.group, timeout="200s", persistent=True)["hostname"]
    first = boot_id(c, vm)
    run(c, vm, "sh", "-c", "(sleep 0.3; sudo reboot) > /dev/null 2>&1 &")
    until(lambda: boot_id(c, vm) not in (None, first), 240)
    assert c.post(f"/vm/{vm}/shutdown", timeout=90).status == 200
    assert c.post(f"/vm/{vm}/relaunch").status in (200, 201)
    until(lambda: boot_id(c, vm), 240, "it answers")  # for which a command would wait half a minute
    assert run(c, vm, "echo", "up").stdout == b"up\n"
    c.remove(vm)


def test_asan_daemon_comes_back(own_asan):
    d = own_asan
    vm = d.client.create(d.group, timeout="200s", persistent=True)["hostname"]
    d.kill()
    time.sleep(0.5)
    d.start()
    assert run(d.client, vm, "echo", "again").stdout == b"again\n"
    os.kill(d.vmm_pid(vm), signal.SIGKILL)
    until(lambda: d.client.node(vm)["status"] == "Stopped", 15)
