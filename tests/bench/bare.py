# SPDX-License-Identifier: MIT
"""The same guest without slicer: a running VM's own command line, with files in the place of inherited descriptors."""
import os
import re
import shutil
import subprocess
import time

from slicertest.proc import cmdline

QEMU = shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64"
AGENT_MARK = b"slicer-agent:"
READY_MARK = b"slicer-agent: ready"
LIMIT = 120  # seconds


def fd_path(pid, fd):
    return os.readlink(f"/proc/{pid}/fd/{fd}")


def opened(pid, part):
    """QEMU gives the descriptors of its sets other numbers: the one file that it has open whose path has this part."""
    found = {path for path in (fd_path(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd")) if part in path}
    assert len(found) == 1, (part, found)
    return found.pop()


def recipe_of(pid):
    """The command line of the VMM as a template: {dir} is where it runs; its empty writable disk is {dir}/disk."""
    argv = []
    given = iter(cmdline(pid))
    for word in given:
        if word in ("-add-fd", "-mon", "-sandbox"):
            next(given)
            continue
        word = word.replace("{", "{{").replace("}", "}}")
        console = re.fullmatch(r"file,id=console,path=/dev/fdset/\d+(,append=on)?", word)
        socket = re.fullmatch(r"socket,id=(\w+),fd=\d+,server=on,wait=off", word)
        if console:
            word = "file,id=console,path={dir}/console"
        elif socket and socket.group(1) == "qmp":
            argv.pop()
            continue
        elif socket:
            word = f"socket,id={socket.group(1)},path={{dir}}/{socket.group(1)},server=on,wait=off"
        elif word.startswith("memory-backend-file,"):
            word = re.sub(r"memory-backend-file,(.*),mem-path=[^,]*,share=off", r"memory-backend-memfd,\1,share=off", word)
        elif word.startswith("stream,id=net"):
            word = "user,id=net,restrict=on,ipv6=off"
        elif "filename=/dev/fdset/" in word:
            node = re.search(r"node-name=([\w-]+)", word).group(1)
            files = {"root": "/blobs/", "config": "/config.raw", "modules": "/modules.squashfs"}
            path = "{dir}/disk" if node == "data-file" else opened(pid, files[node])
            word = re.sub(r"/dev/fdset/\d+", path, word)
        else:
            word = re.sub(r"/proc/self/fd/(\d+)", lambda m: fd_path(pid, m.group(1)), word)
        argv.append(word)
    return argv


def console(directory):
    path = directory / "console"
    return path.read_bytes() if path.exists() else b""


def boot_seconds(recipe, empty_disk, directory, mark=AGENT_MARK):
    """From the start of the process until the agent's first line, or another mark, is on the console."""
    directory.mkdir()
    process = None
    try:
        shutil.copy(empty_disk, directory / "disk")
        before = time.monotonic()
        process = subprocess.Popen([word.format(dir=directory) for word in recipe], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while mark not in console(directory):
            assert process.poll() is None, f"QEMU ended: {process.stderr.read().decode()}"
            assert time.monotonic() < before + LIMIT, f"no sign of the agent: {console(directory)[-2000:]!r}"
            time.sleep(0.002)
        return time.monotonic() - before
    finally:
        if process:
            process.kill()
            process.wait()
            process.stderr.close()
        shutil.rmtree(directory)
