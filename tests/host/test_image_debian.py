# SPDX-License-Identifier: MIT
"""Image debian as it lies in the store: made once by mmdebstrap, looked at with unsquashfs."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest
from slicertest import AGENT, IMAGE, find_processes, until


def build(store, *prefix, **kwargs):
    done = subprocess.run([*prefix, IMAGE, "build", "debian", "--store", store, "--agent", AGENT], text=True,
                          stdout=subprocess.PIPE, timeout=3000, **kwargs)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def result(debian_build):
    return debian_build[-1]


@pytest.fixture(scope="module")
def files(result):
    """Path below the root: (mode and type, owner, link target)."""
    listing = subprocess.run(["unsquashfs", "-lln", result["rootfs"]], capture_output=True, text=True,
                             check=True).stdout
    found = {}
    for line in listing.splitlines():
        mode, owner, rest = line.split(maxsplit=2)
        match = re.match(r"(?:\d+,\s*)?\d+ \S+ \S+ squashfs-root(/.*)?$", rest)
        path, _, target = (match.group(1) or "/").partition(" -> ")
        found[path] = (mode, owner, target)
    return found


def content(result, path):
    return subprocess.run(["unsquashfs", "-cat", result["rootfs"], path.lstrip("/")], capture_output=True, text=True,
                          check=True).stdout


def check_progress(lines):
    """Of a build that had to be made."""
    said = [line["message"] for line in lines[:-1]]
    assert {line["type"] for line in lines[:-1]} == {"progress"}
    assert any("downloading packages" in line for line in said) and any("packing" in line for line in said)
    assert lines[-1]["cached"] is False


def test_result(store, result):
    assert (result["type"], result["name"], result["default_user"]) == ("result", "debian", "ubuntu")
    assert pathlib.Path(result["rootfs"]).stat().st_size == result["size"] < 200 << 20
    assert json.loads((store / "images/debian/image.json").read_text())["digest"] == result["digest"]


def test_a_second_build_finds_it(store, result, tmp_path):
    """It runs none of the programs that make one."""
    for name in ("mmdebstrap", "mksquashfs"):  # they are looked for
        (tmp_path / name).symlink_to("/bin/false")
    files = [pathlib.Path(result["rootfs"]), store / "images/debian/image.json"]
    before = [(f.stat().st_ino, f.stat().st_mtime_ns) for f in files]
    code, lines = build(store, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (code, lines[-1]["cached"], lines[-1]["digest"]) == (0, True, result["digest"])
    assert {line["step"] for line in lines[:-1]} == {"resolve"}
    assert [(f.stat().st_ino, f.stat().st_mtime_ns) for f in files] == before


def test_micro_and_debian_share_the_kernel(store, result):
    listed = subprocess.run([IMAGE, "list", "--store", store], capture_output=True, check=True).stdout
    images = {i["name"]: i for i in json.loads(listed.splitlines()[-1])["images"]}
    assert images["micro"]["kernel"] == images["debian"]["kernel"]
    assert len(list((store / "kernels").iterdir())) == 1


def test_users(result, files):
    passwd = [line.split(":") for line in content(result, "/etc/passwd").splitlines()]
    users = {f[0]: f for f in passwd}
    for name in ("ubuntu", "slicer"):
        assert users[name][2:4] == ["1000", "1000"] and users[name][5:] == ["/home/ubuntu", "/bin/bash"]
    assert next(f[0] for f in passwd if f[2] == "1000") == "ubuntu"
    shadow = {f[0]: f[1] for f in (line.split(":") for line in content(result, "/etc/shadow").splitlines())}
    assert [shadow[name] for name in ("root", "ubuntu", "slicer")] == ["*"] * 3
    assert files["/home/ubuntu"][:2] == ("drwxr-xr-x", "1000/1000")
    assert files["/etc/sudoers.d/slicer"][:2] == ("-r--r-----", "0/0")
    assert files["/usr/bin/sudo"][:2] == ("-rwsr-xr-x", "0/0")


def test_nothing_of_a_machine_is_in_it(result, files):
    assert [p for p in files if "ssh_host" in p and not p.endswith("_keys")] == []
    assert content(result, "/etc/machine-id") == "" and content(result, "/etc/fstab") == ""
    assert "/var/lib/dbus/machine-id" not in files or files["/var/lib/dbus/machine-id"][2] == "/etc/machine-id"
    for gone in ("/etc/hostname", "/etc/resolv.conf", "/etc/apt/apt.conf.d/99mmdebstrap"):
        assert gone not in files, gone
    assert [p for p in files if p.startswith("/var/lib/apt/lists/") and not p.endswith(("/lock", "/partial"))] == []
    assert [p for p in files if p.endswith(".deb") or p.startswith("/boot/")] == []
    sources = content(result, "/etc/apt/sources.list").splitlines()
    assert len(sources) == 3
    assert all(re.match(r"deb http://deb\.debian\.org/debian\S* \w+(-\w+)? main$", s) for s in sources)
    assert [p for p in files if p.startswith("/etc/apt/sources.list.d/")] == []


def test_what_is_in_it(result, files):
    release = result["kernel"]["release"]
    modules = [p for p in files if p.startswith(f"/usr/lib/modules/{release}/kernel/")]
    assert len(modules) > 500 and f"/usr/lib/modules/{release}/modules.dep.bin" in files
    assert [p for p, f in files.items() if p.startswith("/usr/lib/modules/") and f[1] != "0/0"] == []
    for program in ("/usr/lib/systemd/systemd", "/usr/sbin/sshd", "/usr/bin/bash", "/usr/bin/ps", "/usr/bin/ping",
                    "/usr/bin/curl", "/usr/sbin/modprobe", "/usr/bin/dbus-daemon"):
        assert program in files or program.replace("/usr/sbin", "/usr/bin") in files, program
    assert files["/"][:2] == ("drwxr-xr-x", "0/0")
    assert content(result, "/etc/default/locale") == "LANG=C.UTF-8\n"
    assert "SystemMaxUse=64M" in content(result, "/etc/systemd/journald.conf.d/slicer.conf")
    wants = "/etc/systemd/system/ssh.service.wants/ssh-hostkeys.service"
    assert files[wants][2] == "../ssh-hostkeys.service"
    timers = [p.rsplit("/", 1)[1] for p in files if p.startswith("/etc/systemd/system/timers.target.wants/")]
    assert "apt-daily.timer" not in timers and "fstrim.timer" not in timers


def test_squashfs(result):
    said = subprocess.run(["unsquashfs", "-s", result["rootfs"]], capture_output=True, text=True, check=True).stdout
    assert "Compression zstd" in said and "compression-level 3" in said
    assert "Filesystem is exportable" in said  # overlayfs falls back to index=off without


def test_without_mmdebstrap(tmp_path):
    hidden = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$(command -v mmdebstrap)" && exec "$0" "$@"')
    code, lines = build(tmp_path / "store", *hidden)
    assert code == 1
    assert lines[-1]["message"].endswith("mmdebstrap is not installed: run `apt-get install mmdebstrap`")
    assert not (tmp_path / "store").exists()


def test_a_host_whose_apt_knows_nothing(tmp_path):
    (tmp_path / "lists").mkdir()
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::State::lists "{tmp_path / "lists"}"; Dir::State::status "/dev/null";\n')
    code, lines = build(tmp_path / "store", env={**os.environ, "APT_CONFIG": str(config)})
    assert (code, lines[-1]["type"]) == (1, "error") and "apt-get update" in lines[-1]["message"]


@pytest.fixture
def copied(store, debian_build, tmp_path):
    """A store with image micro and the kernel, so that a build begins with mmdebstrap."""
    path = tmp_path / "store"
    shutil.copytree(store, path)
    shutil.rmtree(path / "images/debian")
    yield path
    shutil.rmtree(path)


def processes_of_build(store):
    """Those that name the store, work or are rooted below it, or are of the users of a build (src/image/confine.h)."""
    found = find_processes(str(store))
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if "1879048192" in (entry / "uid_map").read_text():
                found.append(int(entry.name))
        for link in ("cwd", "root"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / link).startswith(str(store)):
                    found.append(int(entry.name))
    return found


@pytest.mark.full
def test_sigkill_in_the_middle_leaves_no_process_and_no_mount(copied, result):
    for step in ("extracting", "installing remaining"):
        helper = subprocess.Popen([IMAGE, "build", "debian", "--store", copied, "--agent", AGENT], text=True,
                                  stdout=subprocess.PIPE)
        for line in helper.stdout:
            if step in json.loads(line)["message"]:
                break
        until(lambda: len(processes_of_build(copied)) > 2, 5, "mmdebstrap runs")
        helper.send_signal(signal.SIGKILL)
        helper.wait()
        helper.stdout.close()
        until(lambda: not processes_of_build(copied), 5, "all processes of the build are gone")
        assert str(copied) not in pathlib.Path("/proc/self/mountinfo").read_text()
        assert not (copied / "images/debian").exists()
    code, lines = build(copied)
    assert (code, lines[-1]["digest"]) == (0, result["digest"])  # the same packages, the same bytes
    check_progress(lines)
    assert not (copied / "tmp").exists()


@pytest.fixture
def own(copied):
    """The same for user `nobody`, with the programs; and what runs one as that user, who has a range of ids."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="slicer-debian-"))
    path.chmod(0o755)
    (path / "ids").write_text("nobody:300000:65536\n")
    for program in (IMAGE, AGENT):
        shutil.copy(program, path)
    shutil.copytree(copied, path / "store")
    for entry in (path / "store", *(path / "store").rglob("*")):
        os.chown(entry, 65534, 65534)
    command = ('mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && '
               'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"')
    yield path, ("unshare", "--mount", "sh", "-c", command, "sh", path / "ids")
    shutil.rmtree(path)


@pytest.mark.full
def test_a_user_without_privilege_builds_the_same_bytes(own, result):
    path, as_user = own
    done = subprocess.run([*as_user, path / "slicer-image", "build", "debian", "--store", path / "store", "--agent",
                           path / "slicer-agent"], stdout=subprocess.PIPE, text=True, timeout=3000, cwd=path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[-1].get("digest")) == (0, result["digest"]), lines[-1]
    check_progress(lines)
    assert not (path / "store/tmp").exists()
    assert pathlib.Path(lines[-1]["rootfs"]).stat().st_uid == 65534


@pytest.mark.full
def test_no_space(tmp_path, copied):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", small], check=True)
    try:
        shutil.copytree(copied, small / "store")
        code, lines = build(small / "store")
        assert (code, lines[-1]["type"], lines[-1]["code"]) == (1, "error", "no_space"), lines[-1]
        assert not (small / "store/images/debian").exists() and not (small / "store/tmp").exists()
    finally:
        subprocess.run(["umount", small], check=True)
