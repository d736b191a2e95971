# SPDX-License-Identifier: MIT
"""What runs or reads other people's bytes while an image is made is nobody on this host: Debian's package scripts, and what reads
an archive that is imported."""
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile

import pytest
from slicertest import AGENT, IMAGE, alive, until
from slicertest.proc import children

FIRST = 1879048192  # src/image/confine.h

# In the place of mmdebstrap: tells what it finds, in the one line that is handed on.
SPY = r"""#!/bin/bash
say() { facts="$facts $1=$2"; }
say uid "$(id -u)"
say map "$(tr -s ' ' <<<"$(cat /proc/self/uid_map)" | tr ' ' ,)"
say processes "$(ls /proc | grep -c '^[0-9]')"
say shadow "$(cat /etc/shadow 2>&1 >/dev/null | grep -o 'Permission denied' | tr -d ' ')"
say etc "$(touch /etc/slicer-was-here 2>&1 | grep -o 'Permission denied' | tr -d ' ')"
say here "$(touch here && stat -c %u here)"
say inputs "$(ls | tr '\n' ,)"
say run "$(ls /run/slicer/secret 2>&1 | grep -o 'Permission denied' | tr -d ' ')"
say chown "$(chown 42:42 here && stat -c %u here)"
echo "E:$facts" >&2
exit 1
"""


def build(store, stub, *prefix):
    """Builds image debian with that program in the place of mmdebstrap."""
    command = 'mount --bind "$1" "$(command -v mmdebstrap)" && shift && exec "$@"'
    done = subprocess.run([*prefix, "unshare", "--mount", "sh", "-c", command, "sh", stub, IMAGE, "build", "debian", "--store", store,
                           "--agent", AGENT], stdout=subprocess.PIPE, text=True, timeout=300)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def spy(tmp_path):
    path = tmp_path / "mmdebstrap"
    path.write_text(SPY)
    path.chmod(0o755)
    return path


@pytest.fixture
def copied(store, tmp_path):
    """A store with image micro and the kernel, so that a build begins with mmdebstrap."""
    path = tmp_path / "store"
    shutil.copytree(store, path)
    shutil.rmtree(path / "images/debian", ignore_errors=True)
    yield path
    shutil.rmtree(path)


def facts_of(line):
    return dict(word.split("=", 1) for word in line["message"].rpartition("status 1: ")[2].split())


def test_package_scripts_are_nobody_on_this_host(copied, spy):
    secret = pathlib.Path("/run/slicer/secret")
    secret.mkdir(mode=0o700)
    try:
        code, lines = build(copied, spy)
    finally:
        secret.rmdir()
    assert code == 1 and lines[-1]["type"] == "error"
    facts = facts_of(lines[-1])
    assert facts.pop("map").strip(",") == f"0,{FIRST},65536"
    assert facts.pop("inputs").strip(",") == "apt.conf,here,overlay.tar"
    assert int(facts.pop("processes")) < 10
    assert facts == {"uid": "0", "shadow": "Permissiondenied", "etc": "Permissiondenied", "here": "0", "run": "Permissiondenied",
                     "chown": "42"}
    assert not (copied / "tmp").exists()


def test_a_host_that_gives_no_users_away(copied, spy):
    """As in a container: packages are installed as before, and it is said."""
    code, lines = build(copied, spy, "unshare", "--user", "--map-root-user")
    assert code == 1
    assert any("packages and their programs are handled by root: this host has no user namespaces" in line["message"] for line in lines[:-1])
    assert facts_of(lines[-1])["map"].strip(",") == "0,0,1"


@pytest.fixture
def importing(tmp_path):
    """An import from a pipe that nothing has been written to yet: the program and the process that reads."""
    with subprocess.Popen([IMAGE, "import", "-", "piped", "--store", tmp_path / "store", "--agent", AGENT], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        try:
            yield program, until(lambda: [p for p in children(program.pid) if "CapEff:\t0000000000000000" in status(p)
                                          and "Seccomp:\t2" in status(p)], 60)[0]
        finally:
            program.kill()


def status(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_an_archive_is_read_by_nobody(importing):
    program, reader = importing
    lines = dict(line.split(":\t", 1) for line in status(reader).splitlines() if ":\t" in line)
    nobody = str(FIRST + 65534)
    assert lines["Uid"].split() == lines["Gid"].split() == [nobody] * 4 and lines["Groups"].strip() == ""
    assert lines["NoNewPrivs"] == "1" and lines["CapBnd"] != "" and lines["CapPrm"] == lines["CapEff"] == "0" * 16
    # stdin, stdout, stderr, the archive that is written, and the pipe of the answer.
    assert len(os.listdir(f"/proc/{reader}/fd")) == 5
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        for name, text in (("etc/passwd", b"root:x:0:0::/:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n"), ("caf\u00e9", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    out = program.communicate(archive.getvalue(), timeout=300)[0]
    result = json.loads(out.splitlines()[-1])
    assert (result["type"], result["default_user"]) == ("result", "me"), result
    listed = subprocess.run(["unsquashfs", "-l", result["rootfs"]], capture_output=True, check=True).stdout
    assert "/caf\u00e9".encode() in listed


def test_root_keeps_what_building_needs(importing):
    """capabilities(7), by number: what src/image/main.c keeps."""
    program, _ = importing
    have = dict(line.split(":\t") for line in status(program.pid).splitlines() if line.startswith("Cap"))
    kept = sum(1 << n for n in (0, 1, 3, 4, 5, 6, 7, 8, 18, 21, 24, 27, 29, 31))
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(have[name], 16) & ~kept == 0, name
    assert int(have["CapEff"], 16) & 1 << 21


def test_a_reader_that_tells_too_much(importing):
    """The name of the default user is that of the archive's author."""
    program, _ = importing
    archive, text = io.BytesIO(), b"m" * (3 << 20) + b":x:1000:1000::/:/bin/sh\n"
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    said = json.loads(program.communicate(archive.getvalue(), timeout=60)[0].splitlines()[-1])
    assert said["type"] == "error" and "more than 1048576 bytes" in said["message"], said


def test_a_reader_that_is_killed(importing):
    program, reader = importing
    os.kill(reader, signal.SIGKILL)
    out = program.communicate(timeout=60)[0]
    said = json.loads(out.splitlines()[-1])
    assert said["type"] == "error" and "the process that reads it was killed by signal 9" in said["message"]


def test_it_ends_with_slicer_image(importing):
    program, reader = importing
    program.kill()
    program.wait()
    until(lambda: not alive(reader), 10)
