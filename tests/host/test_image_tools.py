# SPDX-License-Identifier: MIT
"""The programs that read what comes from elsewhere while an image is made, or come from there themselves: root's are nobody on this
host, and what they leave is looked at before it is used."""
import gzip
import io
import json
import lzma
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest
from slicertest import AGENT, IMAGE

FIRST = "1879048192"  # src/image/confine.h

# In the place of a program: writes a line, may do more, and runs it.
SPY = """#!/bin/bash
read -r inside outside count < /proc/self/uid_map
echo "$(basename "$0")|$inside $outside|$*" >> {log}
{more}
{real} "$@"
status=$?
{after}
exit $status
"""

# Names an applet by its users; what mksquashfs would run is none.
BUSYBOX = """
#include <stdio.h>
int main(void)
{
	char map[100] = "";
	FILE *f = fopen("/proc/self/uid_map", "r");
	long inside, outside;

	if (!f || fscanf(f, "%ld %ld", &inside, &outside) != 2)
		return 1;
	printf("bin/ls\\nbin/map-%ld\\nbin/x f 755 0 0 touch /tmp/slicer-ran\\n", outside);
	return 0;
}
"""


class Spies:
    def __init__(self, path):
        self.path, self.log = path, path / "log"
        self.log.touch()
        self.log.chmod(0o666)
        (path / "real").mkdir()
        self.mounts, self.said = [], []

    def replace(self, name, more="", after=""):
        real = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        shutil.copy(real, self.path / "real" / name)
        self.put(real, SPY.format(log=self.log, real=self.path / "real" / name, more=more, after=after), name)

    def put(self, target, text, name):
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)
        self.mounts.append((self.path / name, target))

    def hide(self, target):
        self.mounts.append(("/dev/null", target))

    def run(self, *args, env=None, prefix=()):
        command = "".join(f"mount --bind {source} {target} && " for source, target in self.mounts) + 'exec "$@"'
        done = subprocess.run([*prefix, "unshare", "--mount", "sh", "-c", command, "sh", IMAGE, *map(str, args)], text=True,
                              stdout=subprocess.PIPE, timeout=400, env={**os.environ, **(env or {})})
        self.said = done.stdout.splitlines()
        return json.loads(self.said[-1])

    def lines(self):
        """(program, first user on the host, arguments) of all that ran."""
        return [tuple(line.split("|", 2)) for line in self.log.read_text().splitlines()]

    def users_of(self, name, word=""):
        return [users.split()[1] for program, users, args in self.lines() if program == name and word in args]


@pytest.fixture
def spies():
    """In a directory that everybody may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="slicer-spies-"))
    path.chmod(0o755)
    yield Spies(path)
    shutil.rmtree(path)


@pytest.fixture
def copied(store, tmp_path):
    """A store with image micro and the kernel."""
    shutil.copytree(store, tmp_path / "store", copy_function=os.link)
    yield tmp_path / "store"
    shutil.rmtree(tmp_path / "store")


def build(spies, store, **kwargs):
    return spies.run("build", "micro", "--store", store, "--agent", AGENT, **kwargs)


def listing(squashfs):
    return subprocess.run(["unsquashfs", "-l", "-d", "", squashfs], text=True, capture_output=True, check=True).stdout.splitlines()


def test_what_makes_micro_is_nobody_on_this_host(spies, store, tmp_path):
    for name in ("apt-get", "depmod", "mksquashfs"):
        spies.replace(name)
    source = spies.path / "busybox.c"
    source.write_text(BUSYBOX)
    subprocess.run(["cc", "-static", "-o", spies.path / "busybox", source], check=True)
    spies.mounts.append((spies.path / "busybox", "/bin/busybox"))
    try:
        result = build(spies, tmp_path / "store")
        assert result["type"] == "result", result
        assert spies.users_of("apt-get", "-q download") == [FIRST]  # the kernel
        assert set(spies.users_of("apt-get", "--print-uris")) == {"0"}  # reads the lists, which apt has checked
        assert spies.users_of("depmod") == [FIRST]
        assert spies.users_of("mksquashfs", "root/lib/modules") == [FIRST]
        assert spies.users_of("mksquashfs", ".pseudo") == ["0"]  # of our own files
        entries = listing(result["rootfs"])
        assert f"/usr/bin/map-{FIRST}" in entries and "/usr/bin/ls" in entries
        assert not os.path.exists("/tmp/slicer-ran")
        kernel = pathlib.Path(result["kernel"]["path"]).parent
        original = next((store / "kernels").iterdir())
        for name in ("vmlinux", "modules.squashfs", "kernel.json"):
            assert (kernel / name).read_bytes() == (original / name).read_bytes(), name
        owners = {(p.stat().st_uid, p.stat().st_gid) for p in (tmp_path / "store").rglob("*")}
        assert owners == {(0, 0)}
    finally:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)


@pytest.mark.parametrize("after, words", [
    ("echo more >> *.deb", "is not a regular file of at most"),
    ("printf x | dd of=$(echo *.deb) bs=1 seek=5000 conv=notrunc 2> /dev/null", "is not what its lists name"),
    ("rm *.deb; ln -s /etc/shadow a.deb", "Too many levels of symbolic links"),
    ("rm *.deb; mkfifo a.deb", "is not a regular file"),
    ("rm *.deb", "left no .deb"),
])
def test_what_apt_leaves_is_checked(spies, copied, after, words):
    spies.hide("/bin/busybox")
    spies.replace("apt-get", after=f'case " $* " in *" -q download "*) {after};; esac')
    said = build(spies, copied)
    assert said["type"] == "error" and words in said["message"], said
    assert spies.users_of("apt-get", "-q download") == [FIRST]
    assert not (copied / "tmp").exists()


def test_passwords_of_mirrors_that_only_root_may_read(spies, copied):
    secret = "machine mirror.example login me password hunter2"
    auth, parts, config = spies.path / "auth.conf", spies.path / "auth.conf.d", spies.path / "apt.conf"
    parts.mkdir()
    auth.write_text(secret)
    auth.chmod(0o600)
    config.write_text(f'Dir::Etc::netrc "{auth}"; Dir::Etc::netrcparts "{parts}";\n')
    spies.hide("/bin/busybox")
    spies.replace("apt-get", more=f'for word; do case $word in Dir::Etc::netrc=*) file=${{word#*=}}; echo "$(stat -c "%a %u" $file) '
                                  f'$(cat $file)" >> {spies.log};; esac; done')
    result = build(spies, copied, env={"APT_CONFIG": str(config)})
    assert result["type"] == "result", result
    assert f"600 0 {secret}" in spies.log.read_text().splitlines()


def archive(path, files):
    """A tar archive of (name, content); None: a named pipe; text: a link."""
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type = tarfile.FIFOTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


class Modules:
    """Those of the store's kernel that a boot needs, as an image has them: of three, two are compressed."""
    def __init__(self, store):
        self.kernel = next((store / "kernels").iterdir())
        record = json.loads((self.kernel / "kernel.json").read_text())
        self.release, self.names = record["release"], record["modules"]
        self.builtin = subprocess.run(["unsquashfs", "-cat", self.kernel / "modules.squashfs", "modules.builtin"], check=True,
                                      capture_output=True).stdout
        self.below = f"usr/lib/modules/{self.release}"

    def files(self, **instead):
        """`instead`: what the module of that name is."""
        kinds = [("", bytes), (".xz", lambda data: lzma.compress(data, preset=0)), (".gz", gzip.compress)]
        found, lines, names = [], [], []
        for number, name in enumerate(self.names):
            suffix, pack = kinds[number % 3]
            data = instead.get(pathlib.Path(name).stem, None) or pack((self.kernel / "modules" / name).read_bytes())
            found.append((f"{self.below}/{name}{suffix}", data))
            lines.append(f"{name}{suffix}: {' '.join(names)}\n")
            names.append(f"{name}{suffix}")
        return [*found, (f"{self.below}/modules.dep", "".join(lines).encode()), (f"{self.below}/modules.builtin", self.builtin)]


@pytest.fixture
def modules(store):
    return Modules(store)


def boot_with_kernel_file(spies, store, modules, tmp_path, files):
    """Imports an image of these files and makes it ready to boot with a kernel_file of their release."""
    for name in ("mksquashfs", "unsquashfs"):
        spies.replace(name)
    tar = archive(tmp_path / "image.tar", files)
    said = spies.run("import", tar, "own", "--store", store, "--agent", AGENT)
    assert said["type"] == "result", said
    assert spies.users_of("mksquashfs", "-tar") == [FIRST]
    return spies.run("initramfs", "--store", store, "--agent", AGENT, "--image", "own", "--kernel", modules.kernel / "vmlinux")


def test_modules_of_an_image_for_a_kernel_file(spies, copied, modules, tmp_path):
    links = [(f"{modules.below}/shadow", "/etc/shadow"), (f"{modules.below}/pipe", None), (f"{modules.below}/up", "../../..")]
    result = boot_with_kernel_file(spies, copied, modules, tmp_path, modules.files() + links)
    assert result["type"] == "result", result
    assert spies.users_of("unsquashfs") == [FIRST]
    assert spies.users_of("mksquashfs", f"root/{modules.below}") == [FIRST]
    kernel = pathlib.Path(result["kernel"]["path"]).parent
    assert kernel != copied / "kernels" / modules.kernel.name
    assert json.loads((kernel / "kernel.json").read_text())["modules"] == modules.names
    for name in modules.names:
        assert (kernel / "modules" / name).read_bytes() == (modules.kernel / "modules" / name).read_bytes()
    entries = listing(kernel / "modules.squashfs")
    assert "/modules.dep" in entries and not {"/shadow", "/pipe", "/up"} & set(entries)
    assert not (copied / "tmp").exists()


@pytest.mark.parametrize("instead, words", [
    ("/etc/shadow", "virtio_blk"),  # not there any more
    (gzip.compress(bytes(300 << 20), 1), "unpacked it is larger than"),
], ids=["link", "large"])
def test_hostile_modules_of_an_image(spies, copied, modules, tmp_path, instead, words):
    before = {p.name for p in (copied / "kernels").iterdir()}
    said = boot_with_kernel_file(spies, copied, modules, tmp_path, modules.files(virtio_blk=instead))
    assert said["type"] == "error" and words in said["message"], said
    assert {p.name for p in (copied / "kernels").iterdir()} == before and not (copied / "tmp").exists()


def test_a_host_that_gives_no_users_away(spies, copied, tmp_path):
    """As in a container: all runs as before, and it is said once."""
    for name in ("mksquashfs", "apt-get"):
        spies.replace(name)
    spies.hide("/bin/busybox")
    done = build(spies, copied, prefix=("unshare", "--user", "--map-root-user"))
    assert done["type"] == "result", done
    assert len([line for line in spies.said if "handled by root: this host has no user namespaces" in line]) == 1
    assert spies.users_of("apt-get", "-q download") == ["0"]
