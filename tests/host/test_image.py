# SPDX-License-Identifier: MIT
"""The image helper: real builds of image micro into stores of their own, looked at from outside, and one boot."""
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from slicertest import until

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLICER_BUILD", HERE.parent.parent / "build"))
HELPER = BUILD / "src/image/slicer-image"
NOBODY = 65534


def run(*args, check=True, prefix=(), **kwargs):
    """Runs the helper; returns exit code, the objects it printed, and the last of them."""
    done = subprocess.run([*prefix, HELPER, *map(str, args)], stdout=subprocess.PIPE, text=True, timeout=300, **kwargs)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if check:
        assert done.returncode == 0, lines[-1:]
        assert lines[-1]["type"] == "result"
    return done.returncode, lines, lines[-1]


def build(store, agent, **kwargs):
    return run("build", "micro", "--store", store, "--agent", agent, "--json", **kwargs)


def files_below(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if not p.is_dir())


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """A static program in the agent's place, which boots the image and runs the checks of /dev/vdb in it."""
    path = tmp_path_factory.mktemp("agent") / "init"
    subprocess.run(["cc", "-static", "-O2", "-o", path, HERE / "image_init.c"], check=True)
    return path


@pytest.fixture(scope="module")
def micro(tmp_path_factory, agent):
    """A store with image micro: (store, result)."""
    store = tmp_path_factory.mktemp("image") / "store"
    yield store, build(store, agent)[2]
    shutil.rmtree(store)


@pytest.fixture
def store(tmp_path):
    """A path for a store; what is there goes after the test, because pytest keeps directories."""
    yield tmp_path / "store"
    shutil.rmtree(tmp_path / "store", ignore_errors=True)


@pytest.fixture
def copied(micro, store):
    """A store with image micro that a test may change: links, because the helper never writes into a file in place."""
    shutil.copytree(micro[0], store, copy_function=os.link)
    return store


def test_first_build_makes_everything(micro):
    store, result = micro
    assert result["cached"] is False
    assert result["name"] == "micro" and result["default_user"] == "ubuntu"
    rootfs = pathlib.Path(result["rootfs"])
    assert rootfs.parent == store / "blobs/sha256"
    assert hashlib.sha256(rootfs.read_bytes()).hexdigest() == rootfs.name == result["digest"].removeprefix("sha256:")
    assert rootfs.stat().st_size == result["size"]
    kernel = pathlib.Path(result["kernel"]["path"])
    assert kernel.read_bytes()[:4] == b"\x7fELF"
    assert re.fullmatch(r"\d+\.\d+\..*", result["kernel"]["release"])
    assert not (store / "tmp").exists()


def state_of(store):
    """What tells of any file that was written or replaced. The times of an initramfs say when it was last of use."""
    return {name: (st.st_ino, st.st_size, 0 if name.startswith("initramfs/") else st.st_mtime_ns)
            for name in files_below(store) for st in [(store / name).stat()] if name != "lock"}


def only(directory, *programs):
    """A directory for PATH with nothing but those programs."""
    directory.mkdir()
    for name in programs:
        (directory / name).symlink_to(shutil.which(name))
    return {"PATH": str(directory)}


def test_second_build_is_cached(micro, agent, tmp_path):
    """It asks apt which packages there are now, and runs and writes nothing else."""
    store, first = micro
    before = state_of(store)
    env = only(tmp_path / "bin", "apt-get", "apt-cache")
    (tmp_path / "bin/mksquashfs").symlink_to("/bin/false")  # it is looked for
    _, lines, second = build(store, agent, env=env)
    assert second["cached"] is True
    assert [line["step"] for line in lines[:-1]] == ["resolve"]
    assert state_of(store) == before
    assert {k: first[k] for k in ("digest", "initramfs", "created_at")} == \
        {k: second[k] for k in ("digest", "initramfs", "created_at")}


def test_owners_modes_and_no_init(micro):
    listing = subprocess.run(["unsquashfs", "-lln", "-d", "", micro[1]["rootfs"]], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    entries = {}
    for line in listing.splitlines():
        match = re.match(r"([-dlcbps]\S{9}) (\d+)/(\d+) +\d+ \S+ \S+ ?(.*)", line)
        if match:
            mode, uid, gid, path = match.groups()
            entries[path.split(" -> ")[0] or "/"] = (mode, int(uid), int(gid), path.partition(" -> ")[2])
    assert entries["/usr/bin/su"][:3] == ("-rwsr-xr-x", 0, 0)
    assert entries["/usr/bin/busybox"][:3] == ("-rwxr-xr-x", 0, 0)
    assert entries["/usr/bin/sudo"][:3] == ("-rwxr-xr-x", 0, 0)
    assert entries["/home/ubuntu"][:3] == ("drwxr-xr-x", 1000, 1000)
    assert entries["/etc/shadow"][:3] == ("-rw-r-----", 0, 42)
    assert entries["/root"][:3] == ("drwx------", 0, 0)
    assert entries["/tmp"][:3] == entries["/var/tmp"][:3] == ("drwxrwxrwt", 0, 0)
    assert entries["/"][:3] == ("drwxr-xr-x", 0, 0)
    for path in ("/proc", "/sys", "/dev", "/run", "/mnt", "/opt", "/usr/local/bin", "/usr/lib/modules", "/var/lib"):
        assert entries[path][0][0] == "d", path
    assert entries["/usr/sbin/ip"][3] == "../bin/busybox" and entries["/usr/bin/sh"][3] == "bash"
    assert not [p for p in entries if p.rpartition("/")[2] in ("init", "linuxrc", "wget", "systemd")]
    setuid = [p for p, e in entries.items() if "s" in e[0][1:]]
    assert setuid == ["/usr/bin/su"]
    assert {e[1] for p, e in entries.items() if p != "/home/ubuntu"} == {0}


def test_a_user_without_privilege_builds_the_same_bytes(micro, agent):
    store = pathlib.Path("/tmp") / f"slicer-image-test-{os.getpid()}"
    copy = store / "agent"
    store.mkdir()
    try:
        shutil.copy(agent, copy)
        os.chown(store, NOBODY, NOBODY)
        prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
        helper = store / "slicer-image"
        shutil.copy(HELPER, helper)
        done = subprocess.run([*prefix, helper, "build", "micro", "--store", store / "store", "--agent", copy],
                              stdout=subprocess.PIPE, text=True, timeout=300, cwd=store)
        result = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == 0, result
        assert result["digest"] == micro[1]["digest"]
        assert pathlib.Path(result["initramfs"]).read_bytes() == pathlib.Path(micro[1]["initramfs"]).read_bytes()
    finally:
        shutil.rmtree(store)


def test_list_and_remove(copied, agent):
    _, _, listed = run("list", "--store", copied, "--json")
    assert [i["name"] for i in listed["images"]] == ["micro"]
    image = listed["images"][0]
    assert set(image) >= {"name", "size", "created_at", "digest", "kernel"} and image["kernel"]["release"]
    (copied / "blobs/sha256/orphan").write_bytes(b"x" * 1000)
    held = sum((copied / p).stat().st_size for p in files_below(copied) if p.split("/")[0] not in ("images", "lock"))
    _, _, removed = run("remove", "micro", "--store", copied)
    assert removed["freed"] == held
    assert files_below(copied) == ["lock"]
    assert run("list", "--store", copied)[2]["images"] == []


def test_remove_keeps_what_another_image_uses(copied):
    other = copied / "images/other"
    other.mkdir()
    record = json.loads((copied / "images/micro/image.json").read_text())
    (other / "image.json").write_text(json.dumps({**record, "name": "other"}))
    before = files_below(copied)
    _, _, removed = run("remove", "micro", "--store", copied)
    assert removed["freed"] == 0
    assert files_below(copied) == [p for p in before if not p.startswith("images/micro/")]


@pytest.mark.parametrize("args, code, words", [
    (("remove", "nosuch"), 1, "no image \"nosuch\""),
    (("remove", "../images"), 2, "image name"),
    (("build", "nosuch", "--agent", "/bin/busybox"), 2, "no recipe"),
    (("build", "micro"), 2, "usage"),
    (("initramfs", "--agent", "/bin/busybox", "--image", "nosuch"), 1, "slicer image build micro"),
    (("frobnicate",), 2, "usage"),
    (("list", "--frob"), 2, "--frob"),
    (("list", "extra"), 2, "usage"),
])
def test_refusals(copied, args, code, words):
    before = files_below(copied)
    status, _, last = run(*args, "--store", copied, check=False)
    assert (status, last["type"]) == (code, "error")
    assert words in last["message"]
    assert files_below(copied) == before


def test_a_dynamic_agent_is_refused(copied):
    for verb in (("build", "micro"), ("initramfs", "--image", "micro")):
        status, _, last = run(*verb, "--store", copied, "--agent", "/usr/bin/env", check=False)
        assert status == 2 and "linked dynamically" in last["message"]


def test_initramfs_per_agent(copied, agent, tmp_path):
    other = tmp_path / "other-agent"
    shutil.copy("/bin/busybox", other)
    args = ("initramfs", "--store", copied, "--image", "micro", "--agent", other)
    _, _, first = run(*args)
    _, _, second = run(*args)
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["initramfs"] == second["initramfs"]
    files = list((copied / "initramfs").iterdir())
    assert len(files) == 2 and pathlib.Path(first["initramfs"]) in files


def test_initramfs_of_old_agents_are_dropped(copied, tmp_path):
    program = pathlib.Path("/bin/busybox").read_bytes()
    paths, held = [], contextlib.ExitStack()
    for number in range(19):
        agent = tmp_path / "agent"
        agent.write_bytes(program + bytes([number]))
        paths.append(run("initramfs", "--store", copied, "--image", "micro", "--agent", agent)[2]["initramfs"])
        if number == 1:
            fcntl.flock(held.enter_context(open(paths[1], "rb")), fcntl.LOCK_SH)
    with held:
        assert {str(p) for p in (copied / "initramfs").iterdir()} == {paths[1], *paths[-16:]}, "a daemon boots from that"


@pytest.mark.parametrize("lost", ["rootfs", "kernel"])
def test_a_damaged_image_is_listed_and_built_again(copied, agent, lost):
    image = run("list", "--store", copied)[2]["images"][0]
    os.unlink(image["rootfs"] if lost == "rootfs" else image["kernel"]["path"])
    _, _, listed = run("list", "--store", copied)
    assert "build it again" in listed["images"][0]["error"]
    _, _, result = build(copied, agent)
    assert result["cached"] is False
    assert os.path.exists(result["rootfs"]) and os.path.exists(result["kernel"]["path"])


def processes_of(store):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(store) in entry.read_bytes() or str(store) in os.readlink(entry.parent / "cwd"):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def kill_at(store, agent, step):
    """Builds image micro until it says that it does `step`; then SIGKILL."""
    with subprocess.Popen([HELPER, "build", "micro", "--store", store, "--agent", agent], text=True,
                          stdout=subprocess.PIPE) as helper:
        said = next((line for line in helper.stdout if step in line), None)
        helper.send_signal(signal.SIGKILL)
    assert said, f"the build never came to {step}"


def test_killed_builds_leave_nothing_and_the_next_take_turns(store, agent, micro):
    for step in ("unpacking the kernel", "packing the modules", "packing the root"):
        kill_at(store, agent, step)
        until(lambda: processes_of(store) == [], 30, "all processes of the build are gone")
        assert run("list", "--store", store)[2]["images"] == []
    helpers = [subprocess.Popen([HELPER, "build", "micro", "--store", store, "--agent", agent], text=True,
                                stdout=subprocess.PIPE) for _ in range(3)]
    outputs = [[json.loads(line) for line in h.communicate(timeout=300)[0].splitlines()] for h in helpers]
    results = [lines[-1] for lines in outputs]
    assert [h.returncode for h in helpers] == [0, 0, 0]
    assert {r["digest"] for r in results} == {micro[1]["digest"]}
    assert sorted(r["cached"] for r in results) == [False, True, True]
    assert files_below(store) == files_below(micro[0])


@pytest.fixture
def tmpfs(tmp_path):
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_no_space(tmpfs, agent, micro):
    for megabytes, where in ((1, "download"), (90, "deb"), (172, "mksquashfs")):
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", tmpfs], check=True)
        status, _, last = build(tmpfs / "store", agent, check=False)
        print(megabytes, last)
        assert (status, last["type"], last["code"]) == (1, "error", "no_space"), last
        assert where in last["message"] and "No space left on device" in last["message"]
        assert run("list", "--store", tmpfs / "store")[2]["images"] == []
        assert not (tmpfs / "store/tmp").exists()
    subprocess.run(["mount", "-o", "remount,size=400m", tmpfs], check=True)
    assert build(tmpfs / "store", agent)[2]["digest"] == micro[1]["digest"]


def test_a_missing_program_is_named_with_the_remedy(tmp_path, agent):
    for programs, words in ((("apt-get", "apt-cache"), "apt-get install squashfs-tools"), (("mksquashfs",), "apt-cache is not installed: run `apt-get install apt`")):
        status, _, last = build(tmp_path / "store", agent, check=False, env=only(tmp_path / programs[0], *programs))
        assert status == 1 and words in last["message"]


def test_programs_come_from_packages_where_the_host_lacks_them(copied, agent, tmp_path):
    """The host's busybox and bash are hidden in a mount namespace of the helper's own."""
    hide = "mount --bind /dev/null /bin/busybox && mount --bind /dev/null /bin/bash-static && exec \"$0\" \"$@\""
    prefix = ("unshare", "--mount", "sh", "-c", hide)
    _, lines, result = build(copied, agent, prefix=prefix)
    assert {"downloading package busybox-static", "downloading package bash-static"} <= \
        {line.get("message") for line in lines}
    assert result["cached"] is False
    subprocess.run(["unsquashfs", "-q", "-n", "-d", tmp_path / "root", result["rootfs"]], check=True)
    for program in ("busybox", "su", "bash"):
        assert (tmp_path / "root/usr/bin" / program).read_bytes()[:4] == b"\x7fELF"
    assert build(copied, agent, prefix=prefix)[2]["cached"] is True


def test_unknown_to_apt(tmp_path, agent):
    lists = tmp_path / "lists"
    lists.mkdir()
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::State::lists "{lists}"; Dir::State::status "/dev/null";\n')
    status, _, last = build(tmp_path / "store", agent, check=False, env={**os.environ, "APT_CONFIG": str(config)})
    assert status == 1 and "apt-get update" in last["message"]


CHECKS = r"""
id; whoami; ls -ld /home/ubuntu
su -p -s /bin/bash -c '
sudo id -u; sudo -n printf "<%s>" a "b c" "" "\$x" "*" -n --; echo
sudo -u nobody id -un; sudo -u "#1000" id -un; sudo -iu ubuntu -- sh -c "pwd"; sudo -i pwd
export FOO=kept HOME=/home/ubuntu; sudo -E sh -c "echo \$FOO \$HOME"; sudo sh -c "echo none\$FOO \$HOME"
sudo FOO=given sh -c "echo \$FOO \$SUDO_USER"; echo piped | sudo cat
sudo sh -c "exit 7"; echo rc=$?; sudo -u nosuch id; echo rc=$?; sudo -Z id; echo rc=$?
cat /etc/shadow' -- ubuntu
wget; type -p reboot; id -un slicer
"""
ANSWERS = r"""
uid=0(root) gid=0(root)
root
drwxr-xr-x    2 ubuntu   ubuntu           3 Jan  1  2025 /home/ubuntu
0
<a><b c><><$x><*><-n><-->
nobody
ubuntu
/home/ubuntu
/root
kept /home/ubuntu
none /root
given ubuntu
piped
rc=7
sudo: unknown user nosuch
rc=1
usage: sudo [-EHinSs] [-u user] [VAR=value ...] [--] [command [argument ...]]
rc=1
cat: can't open '/etc/shadow': Permission denied
bash: line 10: wget: command not found
/usr/sbin/reboot
ubuntu
"""


def tsc_khz():
    """The rate of the time stamp counter, which an emulated guest sees (no calibration is possible there)."""
    match = re.search(r"cpu MHz\s*:\s*([\d.]+)", pathlib.Path("/proc/cpuinfo").read_text())
    return int(float(match.group(1)) * 1000)


def test_it_boots(micro, tmp_path):
    result = micro[1]
    checks = tmp_path / "checks"
    checks.write_bytes(CHECKS.encode().ljust(8192, b"\n"))
    khz = tsc_khz()
    console = subprocess.run([
        "qemu-system-x86_64", "-M", "microvm,x-option-roms=off,rtc=on", "-accel", "tcg", "-cpu", "max", "-m", "512",
        "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", result["kernel"]["path"], "-initrd", result["initramfs"],
        "-append", f"console=ttyS0 reboot=t panic=-1 quiet tsc_early_khz={khz} no_timer_check lpj={khz * 4}",
        "-drive", f"id=a,file={result['rootfs']},format=raw,readonly=on,if=none", "-device", "virtio-blk-device,drive=a",
        "-drive", f"id=b,file={checks},format=raw,readonly=on,if=none", "-device", "virtio-blk-device,drive=b",
    ], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300, check=True).stdout.decode().replace("\r", "")
    lines = console.splitlines()
    loaded = [line.split()[2] for line in lines if line.startswith("INIT insmod")]
    assert [line for line in lines if line.startswith("INIT insmod") and not line.endswith(" ok")] == []
    assert {"/virtio_mmio.ko", "/virtio_blk.ko", "/virtio_net.ko", "/virtio_console.ko", "/squashfs.ko",
            "/overlay.ko"} <= set(loaded)
    assert "INIT mount /dev/vda ok" in lines
    start = lines.index("INIT mount /dev/vda ok") + 1
    end = next(n for n, line in enumerate(lines) if line.startswith("INIT checks"))
    answers = [line for line in lines[start:end] if not line.startswith("[")]
    assert answers == ANSWERS.strip().splitlines()
