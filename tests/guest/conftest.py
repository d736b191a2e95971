# SPDX-License-Identifier: MIT
"""Real guests: QEMU under emulation, image micro. A module shares one daemon and one VM where it can."""
import contextlib
import os

import pytest
from slicertest import Daemon
from slicertest.paths import AGENT, BUILD_ASAN, programs


@pytest.fixture(scope="module")
def qemu(store, tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("qemu"), hypervisor="qemu") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def api(qemu):
    return qemu.client


@pytest.fixture(scope="module")
def vm(qemu):
    return qemu.client.create(qemu.group, timeout="120s")["hostname"]


@contextlib.contextmanager
def asan_daemon(top):
    """Daemon and monitor with ASan and UBSan; the agent in the guest stays the static one."""
    built = programs(BUILD_ASAN)
    libexec = top / "libexec"
    libexec.mkdir()
    for name, path in (("slicer-monitor", built["monitor"]), ("slicer-image", built["image"]), ("slicer-netns", built["netns"]),
                       ("slicer-agent", AGENT)):
        os.symlink(path, libexec / name)
    options = {"ASAN_OPTIONS": f"log_path={top}/asan:abort_on_error=1:detect_leaks=1",
               "UBSAN_OPTIONS": f"log_path={top}/ubsan:halt_on_error=1:print_stacktrace=1"}
    with Daemon(top / "d", hypervisor="qemu", slicer=built["slicer"], env={"SLICER_LIBEXECDIR": str(libexec), **options}) as d:
        yield d
    said = [p.read_text() for p in top.glob("*san*") if p.is_file()]
    assert said == [], "\n".join(said)


@pytest.fixture(scope="module")
def asan(store, tmp_path_factory):
    with asan_daemon(tmp_path_factory.mktemp("asan")) as daemon:
        yield daemon


@pytest.fixture
def own_asan(store, tmp_path):
    with asan_daemon(tmp_path) as daemon:
        yield daemon
