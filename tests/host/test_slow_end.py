# SPDX-License-Identifier: MIT
"""A VMM that takes long to be there, as many that start at once on a busy host do, or to be gone when it was killed, as one of many GiB:
the kernel is made to keep it at its end."""
import concurrent.futures
import ctypes
import os
import time

import pytest
from slicertest import FAKE_VMM, alive, until

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_O_TRACEEXIT, WALL = 17, 0x4206, 0x40, 0x40000000  # ptrace(2), waitpid(2)
LONG = 7  # seconds: more than the monitor and the kill are waited for where it is quick


def ptrace(request, pid, data=0):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(request, pid, None, data) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.parametrize("persistent", [False, True], ids=["delete", "shutdown"])
def test_it_is_waited_for(daemon, persistent):
    d = daemon(config={"graceful_shutdown": False})
    vm = d.client.create(d.group, persistent=persistent)["hostname"]
    vmm = d.vmm_pid(vm)
    ptrace(PTRACE_SEIZE, vmm, PTRACE_O_TRACEEXIT)  # whose tracer is this thread
    with concurrent.futures.ThreadPoolExecutor() as pool:
        path = f"/vm/{vm}/shutdown" if persistent else f"/hostgroup/{d.group}/nodes/{vm}"
        asked = pool.submit(d.client.request, "POST" if persistent else "DELETE", path)
        until(lambda: os.waitpid(vmm, WALL | os.WNOHANG)[0], 60, "it is killed")
        time.sleep(LONG)
        assert alive(vmm) and not asked.done()
        ptrace(PTRACE_DETACH, vmm)
        assert asked.result().status == 200, asked.result()
    assert not alive(vmm) and (d.client.node(vm) or {}).get("last_error") is None


@pytest.mark.full
def test_one_that_starts_slowly_is_waited_for(daemon, tmp_path):
    hypervisor = tmp_path / "hypervisor"
    hypervisor.write_text(f'#!/bin/sh\nsleep 20\nexec {FAKE_VMM} "$@"\n')
    hypervisor.chmod(0o755)
    d = daemon(env={"SLICER_FAKE_VMM": str(hypervisor)})
    assert d.client.create(d.group)["hostname"] == f"{d.group}-1"
