# SPDX-License-Identifier: MIT
"""A root filesystem from outside, without kernel, modules, agent and init, booted by a kernel from a file."""
import json
import os
import shutil
import subprocess

import pytest
from slicertest import AGENT, IMAGE, Daemon, run


@pytest.fixture(scope="module")
def own(store, tmp_path_factory):
    """A store of this module with image micro: links, because nothing writes into a file in place."""
    path = tmp_path_factory.mktemp("images") / "store"
    shutil.copytree(store, path, copy_function=os.link)
    return path


@pytest.fixture(scope="module")
def bare(own, tmp_path_factory):
    """Image `bare`: busybox, two users, and nothing else."""
    top = tmp_path_factory.mktemp("root")
    (top / "bin").mkdir()
    shutil.copy("/bin/busybox", top / "bin")
    for name in ("sh", "cat", "grep", "id", "modprobe", "sudo"):
        os.symlink("busybox", top / "bin" / name)
    (top / "etc").mkdir()
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nanna:x:1003:1003::/home/anna:/bin/sh\n")
    os.symlink("/usr/lib", top / "lib")  # absolute: seen from the initramfs it would lead elsewhere
    (top / "usr/lib").mkdir(parents=True)
    done = subprocess.run(f"tar --owner=0 --group=0 -C {top} -c . | {IMAGE} import - bare --store {own} --agent {AGENT}",
                          shell=True, check=True, stdout=subprocess.PIPE, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def kernel(own, tmp_path_factory):
    """A kernel that the store does not know: the same release, other bytes."""
    path = tmp_path_factory.mktemp("kernel") / "my-vmlinux"
    shutil.copy(next((own / "kernels").glob("*/vmlinux")), path)
    with open(path, "ab") as f:
        f.write(b"another kernel")
    return path


@pytest.fixture(scope="module")
def daemon(own, bare, kernel, tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("d"), hypervisor="qemu", store=own, config={"kernel_file": str(kernel)},
                group={"image": "bare"}) as one:
        one.vm = one.client.create(one.group, timeout="120s")["hostname"]
        yield one


def say(daemon, script, uid=0):
    done = run(daemon.client, daemon.vm, "/bin/sh", "-c", script, uid=uid)
    assert done.exit_code == 0, done
    return done.stdout.decode()


def test_the_agent_is_init_and_knows_the_users(daemon):
    assert say(daemon, "cat /proc/1/comm") == "init\n"
    assert run(daemon.client, daemon.vm, "id", "-un").stdout == b"anna\n"
    assert say(daemon, "cat /etc/hostname") == daemon.vm + "\n"


def test_modprobe(daemon, bare):
    release = bare["kernel"]["release"]
    assert say(daemon, "cat /proc/sys/kernel/osrelease") == release + "\n"
    assert say(daemon, f"grep -c ' /usr/lib/modules/{release} squashfs ro' /proc/mounts") == "1\n"
    say(daemon, "modprobe dummy && grep -q ^dummy /proc/modules && modprobe -r dummy")


def test_the_kernel_is_the_file_and_the_image_keeps_its_own(daemon, own, bare, kernel):
    cmdline = open(f"/proc/{daemon.vmm_pid(daemon.vm)}/cmdline", encoding="utf-8").read().split("\0")
    vmlinux = cmdline[cmdline.index("-kernel") + 1].replace("/self/", f"/{daemon.vmm_pid(daemon.vm)}/")
    with open(vmlinux, "rb") as used:
        used.seek(-14, os.SEEK_END)
        assert used.read() == b"another kernel"
    assert json.loads((own / "images/bare/image.json").read_text())["kernel"]["release"] == bare["kernel"]["release"]
    assert f"{kernel} boots image bare" in daemon.log_text()
    assert len(list((own / "kernels").iterdir())) == 2


def test_what_boots_is_not_removed(daemon, own):
    """The kernel of kernel_file is no image's, but a running daemon's."""
    subprocess.run([IMAGE, "build", "micro", "--name", "other", "--store", own, "--agent", AGENT], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run([IMAGE, "remove", "other", "--store", own], check=True, stdout=subprocess.DEVNULL)
    assert len(list((own / "kernels").iterdir())) == 2
    second = daemon.client.create(daemon.group, timeout="120s")["hostname"]
    assert run(daemon.client, second, "id", "-un").stdout == b"anna\n"
    daemon.client.remove(second)
