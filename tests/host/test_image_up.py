# SPDX-License-Identifier: MIT
"""What `slicer up` does about images: builds those that are missing, once, with progress and an end in order; and what it says
about a kernel_file that boots nothing."""
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess

import pytest
from slicertest import AGENT, BUILD, MONITOR, SLICER, find_processes, until

HELPER = BUILD / "src/image/slicer-image"


@pytest.fixture
def empty(store, tmp_path):
    """A store that has the kernel and no image."""
    path = tmp_path / "store"
    shutil.copytree(store, path, copy_function=os.link)
    shutil.rmtree(path / "images")
    return path


@pytest.fixture
def copied(store, tmp_path):
    return shutil.copytree(store, tmp_path / "store", copy_function=os.link)


@pytest.fixture
def squash(tmp_path):
    """A directory for PATH whose mksquashfs first writes a line to tmp_path/calls and then does `what`."""
    def make(what):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/mksquashfs").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{what}\n')
        (tmp_path / "bin/mksquashfs").chmod(0o755)
        return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}, tmp_path / "calls"
    real = shutil.which("mksquashfs")
    make.real = f'exec {real} "$@"'
    return make


def test_debian_is_the_default(daemon, debian_build):
    d = daemon(start=False)
    del d.config["image"]
    d.start()
    vm = d.client.create(d.group)["hostname"]
    assert d.client.get(f"/vm/{vm}").json["image"] == "debian"


def answers(d):
    assert d.process.poll() is None, d.log_text()
    try:
        return d.client.get("/healthz", timeout=1).status == 200
    except OSError:
        return False


def test_a_failed_build_is_said_once(daemon, empty, squash):
    env, _ = squash("echo no way >&2; exit 3")
    code, said = daemon(start=False, store=empty, env=env).fails()
    last = said.strip().splitlines()[-1]
    assert code == 1 and last.startswith("slicer: error: build image micro: ") and last.count("build image") == 1, said
    assert "no way" in last


def test_two_at_once_build_once(daemon, empty, squash, tmp_path):
    waits = f"i=0; while [ $i -lt 600 ] && ! grep -q 'waiting for another' {tmp_path}/d*/daemon.log; do sleep 0.1; i=$((i+1)); done"
    env, calls = squash(f"{waits}; {squash.real}")  # until there are two at once
    both = [daemon(start=False, store=empty, env=env) for _ in range(2)]
    for d in both:
        d.spawn()
    for d in both:
        until(lambda: answers(d), 120, "the daemon serves")
    assert len(calls.read_text().splitlines()) == 1
    logs = [d.log_text() for d in both]
    assert sum("waiting for another image command" in log for log in logs) == 1
    assert all("micro: packing the root filesystem" in log for log in logs if "waiting" not in log)
    assert not any("\r" in log or "\033" in log for log in logs)  # no terminal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(daemon, empty, squash, number):
    env, calls = squash("exec sleep 1000")
    d = daemon(start=False, store=empty, env=env)
    d.spawn(start_new_session=True)
    until(calls.exists, 30, "the image is being packed")
    os.killpg(d.process.pid, number)  # as the terminal does
    code = d.process.wait(60)
    d.process = None
    assert code == 1 and "interrupted" in d.log_text()
    assert not (empty / "tmp").exists() and not (empty / "images/micro").exists()
    assert find_processes(str(empty)) == []
    assert not os.path.exists(d.address)


def test_a_killed_build_leaves_no_process(daemon, empty, squash):
    env, calls = squash("exec sleep 1000")
    d = daemon(start=False, store=empty, env=env)
    d.spawn()
    until(calls.exists, 30, "the image is being packed")
    d.kill()
    until(lambda: find_processes(str(empty)) == [], 10, "the build has ended")
    d.env["PATH"] = os.environ["PATH"]
    d.start()
    assert not (empty / "tmp").exists() and (empty / "images/micro/image.json").exists()


def on_terminal(argv, env):
    """What a program draws on a terminal, and its exit code."""
    fd, end = pty.openpty()
    process = subprocess.Popen(argv, env=env, stdin=end, stdout=end, stderr=end)
    os.close(end)
    drawn = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        drawn += data
    os.close(fd)
    return drawn.decode(), process.wait()


def test_a_bar_on_a_terminal(empty, squash):
    env, _ = squash(f"sleep 1; {squash.real}")
    drawn, code = on_terminal([str(SLICER), "image", "build", "micro"], {**os.environ, **env, "SLICER_STORE": str(empty)})
    assert code == 0, drawn
    assert re.search(r"\r\x1b\[Kmicro \[[=> ]{30}\] +\d+% \d+:\d\d packing the root", drawn), drawn
    assert drawn.endswith("Image micro is ready: slicer new vm --image micro\r\n")


# --- removal

def halted(log):
    """The process that strace has stopped at what it was to look for; None before."""
    text = log.read_text() if log.exists() else ""
    return int(text.split()[0]) if "--- stopped by SIGSTOP ---" in text else None


def waits_for_a_lock(d):
    return any(re.search(rf"-> FLOCK +ADVISORY +READ +{d.pid} ", line) for line in open("/proc/locks"))


def test_a_start_while_its_image_is_removed(daemon, copied, tmp_path):
    """The removal has looked whether anybody uses it, and goes on once the daemon has come to it: which then builds it again."""
    image, log = copied / "images/micro", tmp_path / "log"
    shutil.copytree(image, copied / "images/other")  # keeps the kernel, so that nothing is downloaded
    removal = subprocess.Popen(["strace", "-f", "-qq", "-o", log, "-P", image, "-e", "trace=unlink", "-e", "inject=unlink:signal=STOP",
                                HELPER, "remove", "micro", "--store", copied], stdout=subprocess.DEVNULL)
    pid = until(lambda: halted(log), 20, "the removal begins")
    d = daemon(start=False, store=copied)
    d.spawn()
    try:
        until(lambda: waits_for_a_lock(d) or answers(d), 60, "the daemon waits for the image")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert removal.wait(60) == 0
    until(lambda: answers(d), 120, "the daemon serves")
    assert (image / "image.json").exists()
    assert d.client.node(d.client.create(d.group)["hostname"])["status"] == "Running"


def test_a_daemon_keeps_the_root_filesystem_of_an_earlier_build(daemon, copied):
    d = daemon(store=copied)
    record = json.loads((copied / "images/micro/image.json").read_text())
    blobs = copied / "blobs/sha256"
    former = blobs / record["digest"].removeprefix("sha256:")
    content = former.read_bytes() + bytes(4096)
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    (copied / "image.json").write_text(json.dumps({**record, "digest": f"sha256:{digest}", "rootfs": f"blobs/sha256/{digest}",
                                                   "size": len(content)}))
    os.rename(copied / "image.json", copied / "images/micro/image.json")  # as a build does
    shutil.copytree(copied / "images/micro", copied / "images/other")
    assert subprocess.run([HELPER, "remove", "other", "--store", copied], stdout=subprocess.DEVNULL).returncode == 0
    assert subprocess.run([HELPER, "remove", "micro", "--store", copied], stdout=subprocess.DEVNULL).returncode == 1, "a daemon has it"
    assert former.exists() and (blobs / digest).exists()
    assert d.client.node(d.client.create(d.group)["hostname"])["status"] == "Running"


def test_what_is_collected_before_the_daemon_holds_it_is_made_again(daemon, copied, tmp_path):
    """The oldest initramfs goes when there are many: here between slicer-image's answer and the daemon's lock."""
    libexec = tmp_path / "libexec"
    libexec.mkdir()
    for program in (AGENT, MONITOR):
        (libexec / program.name).symlink_to(program)
    (libexec / HELPER.name).write_text(f"""#!/bin/sh
echo $1 >> {tmp_path}/calls
answer=$({HELPER} "$@") || exit
[ $1 != initramfs ] || [ $(grep -c initramfs {tmp_path}/calls) != 1 ] || rm {copied}/initramfs/*
echo "$answer"
""")
    (libexec / HELPER.name).chmod(0o755)
    d = daemon(store=copied, env={"SLICER_LIBEXECDIR": str(libexec)})
    assert (tmp_path / "calls").read_text().split() == ["initramfs", "initramfs"]
    assert d.client.node(d.client.create(d.group)["hostname"])["status"] == "Running"


# --- kernel_file

@pytest.fixture
def vmlinux(store):
    return next((store / "kernels").glob("*/vmlinux"))


def refused(d, path, kernel=None):
    d.config["kernel_file"] = str(path)
    if kernel is not None:
        path.write_bytes(kernel)
    code, said = d.fails()
    assert len(said.strip().splitlines()) <= 4 and said.count(str(path)) == 1, said
    assert not os.path.exists(d.address)
    return code, said


def test_kernel_files_that_are_none(daemon, tmp_path, vmlinux):
    d = daemon(start=False)
    kernel = vmlinux.read_bytes()
    for content, code, words in ((None, 1, "No such file"), (b"", 2, "not a regular file of 1 byte"),
                                 (b"#!/bin/sh\n" * 100, 2, "not a Linux kernel"), (kernel[:4096], 2, "not a Linux kernel"),
                                 (AGENT.read_bytes() + b"Linux version 6.1.0 (x)", 1, "PVH")):
        exit_code, said = refused(d, tmp_path / "kernel", content)
        assert exit_code == code and words in said, said


def test_a_kernel_file_without_its_modules(daemon, tmp_path, vmlinux):
    kernel = vmlinux.read_bytes()
    release = re.search(rb"Linux version (\S+)", kernel).group(1)
    other = release[:4] + b"9" * (len(release) - 4)  # of the same length, so that it stays a kernel
    code, said = refused(daemon(start=False), tmp_path / "kernel", kernel.replace(release, other))
    assert code == 1 and other.decode() in said and "virtio_blk" in said and "/lib/modules" in said


def test_a_kernel_file_is_made_ready_once(daemon, empty, tmp_path, vmlinux):
    (tmp_path / "kernel").write_bytes(vmlinux.read_bytes() + b"x")
    d = daemon(start=False, store=empty, config={"kernel_file": "../kernel"})  # relative to where it runs
    d.start()
    made = {p.name for p in (empty / "kernels").iterdir()}
    times = {p: p.stat().st_ctime_ns for p in empty.rglob("*.cpio")}
    assert len(made) == 2 and len({json.loads((empty / "kernels" / n / "kernel.json").read_text())["release"] for n in made}) == 1
    d.stop()
    d.start()
    assert d.log_text().count("unpacking kernel") == 1
    assert {p.name for p in (empty / "kernels").iterdir()} == made and set(empty.rglob("*.cpio")) == set(times)


def test_no_space_for_the_image(daemon, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", small], check=True)
    try:
        d = daemon(start=False, env={"SLICER_STORE": str(small / "store")})
        code, said = d.fails(300)
        assert code == 1 and "space" in said.lower()
        assert not os.path.exists(d.address)
        left = [os.path.join(top, f) for top, _, files in os.walk(small) for f in files]
        assert sum(os.path.getsize(f) for f in left) < 64 * 1024, left
    finally:
        subprocess.run(["umount", "-l", small], check=True)
