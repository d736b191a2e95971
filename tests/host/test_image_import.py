# SPDX-License-Identifier: MIT
"""slicer image import, remove and wipe: what comes in, what is refused, what stays while somebody uses it."""
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest
from slicertest import AGENT, IMAGE, SLICER, Daemon, until


def image(*words, store, code=0, **kwargs):
    """Runs slicer-image; the last thing it said."""
    done = subprocess.run([IMAGE, *map(str, words), "--store", store], stdout=subprocess.PIPE, timeout=300, **kwargs)
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == code, last
    return last


@pytest.fixture(scope="module")
def own(store, tmp_path_factory):
    """A store of this module with image micro, so that the kernel is there."""
    path = tmp_path_factory.mktemp("import") / "store"
    image("build", "micro", "--agent", AGENT, store=path)
    return path


def importing(source, name, store, code=0, **kwargs):
    return image("import", source, name, "--agent", AGENT, store=store, code=code, **kwargs)


def archive(path, *members, mode="w", **kwargs):
    """members: (name, dict of TarInfo's attributes, content)"""
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT, **kwargs) as tar:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(info, key, value)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


PASSWD = b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nanna:x:1003:1003::/home/anna:/bin/sh\n"
CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
MEMBERS = [
    ("./", {"type": tarfile.DIRTYPE, "mode": 0o700, "uid": 5}, b""),
    ("./bin/", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
    ("bin/tool", {"mode": 0o4755, "uid": 7, "gid": 8}, b"content"),
    ("bin/other", {"type": tarfile.LNKTYPE, "linkname": "./bin/tool"}, b""),
    ("bin/link", {"type": tarfile.SYMTYPE, "linkname": "../../../../etc/shadow"}, b""),
    ("etc/passwd", {}, PASSWD),
    ("dev/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}, b""),
    ("run/fifo", {"type": tarfile.FIFOTYPE}, b""),
    ("etc/Főtanúsítvány", {}, b"umlauts"),
    ("bin/ping", {"pax_headers": {"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1"),
                                  "SCHILY.xattr.trusted.overlay.opaque": "y"}}, b"ping"),
]


def listing(rootfs):
    text = subprocess.run(["unsquashfs", "-lln", "-d", "", rootfs], check=True, text=True, stdout=subprocess.PIPE).stdout
    lines = [re.match(r"\S+ \S+ +(?:\d+, *)?\d+ \S+ \S+ ?(/.*)?$", line) for line in text.splitlines()]
    return {(m.group(1) or "").split(" -> ")[0]: m.group(0) for m in lines if m}


@pytest.fixture(scope="module")
def imported(own, tmp_path_factory):
    tar = archive(tmp_path_factory.mktemp("tar") / "root.tar.gz", *MEMBERS, mode="w:gz")
    return importing(tar, "web", own)


def test_what_is_kept(own, imported):
    assert (imported["name"], imported["default_user"], imported["cached"]) == ("web", "anna", False)
    found = listing(imported["rootfs"])
    assert set(found) == {"", "/bin", "/bin/tool", "/bin/other", "/bin/link", "/etc", "/etc/passwd", "/etc/Főtanúsítvány",
                          "/dev", "/dev/null", "/run", "/run/fifo", "/bin/ping"}
    assert found["/bin/tool"].startswith("-rwsr-xr-x 7/8") and found["/bin/other"].startswith("-rwsr-xr-x 7/8")
    assert found["/bin/link"].endswith("-> ../../../../etc/shadow")
    assert found[""].startswith("drwxr-xr-x 0/0")  # the root's own mode and owner are ours
    assert found["/dev/null"].startswith("crw-rw-rw-") and found["/run/fifo"][0] == "p"
    record = json.loads((own / "images/web/image.json").read_text())
    assert (record["recipe"], record["modules"]) == ("", [])


def test_of_the_attributes_only_harmless_ones(imported, tmp_path):
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-d", tmp_path / "x", imported["rootfs"], "bin/ping"], check=True,
                   stdout=subprocess.DEVNULL)
    assert os.listxattr(tmp_path / "x/bin/ping") == ["security.capability"]
    assert os.getxattr(tmp_path / "x/bin/ping", "security.capability") == CAPABILITY


def test_a_directory_and_stdin_make_the_same(own, tmp_path):
    top = tmp_path / "root"
    (top / "usr/lib/modules/9.9.9-x").mkdir(parents=True)
    (top / "usr/lib/modules/9.9.9-x/modules.dep").write_text("")
    (top / "hello").write_text("hello")
    os.symlink("/nowhere", top / "dangling")
    one = importing(top, "one", own)
    done = subprocess.run(["tar", "-C", top, "-c", "."], check=True, stdout=subprocess.PIPE)
    two = importing("-", "two", own, input=done.stdout)
    assert one["digest"] == two["digest"] and one["default_user"] == "root"
    assert json.loads((own / "images/two/image.json").read_text())["modules"] == ["9.9.9-x"]
    assert {"", "/hello", "/dangling", "/usr/lib/modules/9.9.9-x/modules.dep"} <= set(listing(one["rootfs"]))


@pytest.mark.parametrize("members, words", [
    ([("../evil", {}, b"x")], "leads out"),
    ([("a/../../evil", {}, b"x")], "leads out"),
    ([("hard", {"type": tarfile.LNKTYPE, "linkname": "../../etc/shadow"}, b"")], "leads out"),
    ([("x" * 256, {}, b"x")], "too long"),
    ([("/".join(["d" * 200] * 30), {}, b"x")], "too long"),
    ([("oci-layout", {}, b"{}"), ("index.json", {}, b"{}")], "docker export"),
    ([("manifest.json", {}, b"[]"), ("abc/layer.tar", {}, b"")], "docker export"),
    ([], "nothing in it"),
    ([("./", {"type": tarfile.DIRTYPE}, b"")], "nothing in it"),
])
def test_refused_archives(own, tmp_path, members, words):
    before = sorted(p.name for p in (own / "blobs/sha256").iterdir())
    said = importing(archive(tmp_path / "t.tar", *members), "bad", own, code=2)
    assert words in said["message"] and "t.tar" in said["message"]
    assert not (own / "images/bad").exists() and not (own / "tmp").exists()
    assert sorted(p.name for p in (own / "blobs/sha256").iterdir()) == before


def test_damaged_and_absurd_archives(own, tmp_path):
    good = archive(tmp_path / "good.tar", ("file", {}, os.urandom(100000))).read_bytes()
    huge = bytearray(good)
    huge[124:136] = b"\x80" + (100 << 30).to_bytes(11, "big")  # the header's size field, base-256
    huge[148:156] = b" " * 8
    huge[148:156] = b"%06o\0 " % sum(huge[:512])
    for content, code, words in ((good[:50000], 2, "cannot be read"), (b"no archive at all" * 100, 2, "tar archive"),
                                 (bytes(huge), 1, "larger than 64 GiB")):
        (tmp_path / "bad").write_bytes(content)
        assert words in importing(tmp_path / "bad", "bad", own, code=code)["message"]
    assert "No such file" in importing(tmp_path / "absent", "bad", own, code=1)["message"]
    for name, words in (("debian", "name of a recipe"), ("a/b", "image name")):
        assert words in importing(tmp_path / "bad", name, own, code=2)["message"]
    assert not (own / "tmp").exists()


def test_build_by_another_name(own):
    assert "no package manager" in image("build", "micro", "--include", "bash", "--agent", AGENT, store=own, code=2)["message"]
    assert "is not the name of a package" in image("build", "debian", "--include", "-o", "--agent", AGENT, store=own,
                                                   code=2)["message"]
    assert "name of a recipe" in image("build", "micro", "--name", "debian", "--agent", AGENT, store=own, code=2)["message"]
    first = image("build", "micro", "--name", "tiny", "--agent", AGENT, store=own)
    again = image("build", "tiny", "--agent", AGENT, store=own)
    assert (first["name"], first["cached"], again["cached"]) == ("tiny", False, True)
    assert first["digest"] == again["digest"]
    image("remove", "tiny", store=own)
    assert "no recipe" in image("build", "tiny", "--agent", AGENT, store=own, code=2)["message"]


def test_what_vms_use_stays(own, imported, tmp_path):
    with Daemon(tmp_path / "d", store=own) as d:
        d.client.create(d.group, persistent=True)
        kept = d.client.nodes()[0]["hostname"]
        said = image("remove", "micro", store=own, code=1)
        assert said["code"] == "conflict" and "daemon runs" in said["message"]
        d.stop()
        said = image("remove", "micro", store=own, code=1)
        assert said["code"] == "conflict" and kept in said["message"] and str(d.state_dir) in said["message"]
        assert "in use" in image("wipe", store=own, code=1)["message"] and (own / "images/web").exists()
        image("remove", "web", store=own)
        assert image("list", store=own)["images"][0]["name"] == "micro"
        d.start()
        d.client.delete(f"/hostgroup/{d.group}/nodes/{kept}")
        until(lambda: d.client.nodes() == [], 20, "the VM is gone")
    wiped = image("wipe", store=own)
    assert "micro" in wiped["images"] and wiped["freed"] > 1 << 20
    assert image("list", store=own)["images"] == []
    assert sorted(p.name for p in own.rglob("*") if p.is_file()) == sorted(["lock", f"{d.id}.json"])


def test_verbs_of_slicer(own, tmp_path):
    env = {**os.environ, "SLICER_STORE": str(own), "SLICER_LIBEXECDIR": os.environ.get("SLICER_LIBEXECDIR", "")}
    env = {k: v for k, v in env.items() if v}

    def slicer(*words, code=0, **kwargs):
        done = subprocess.run([SLICER, "image", *words], env=env, capture_output=True, text=True, timeout=300, **kwargs)
        assert done.returncode == code, done.stderr
        return done
    tar = archive(tmp_path / "root.tar", *MEMBERS)
    done = slicer("import", str(tar), "web")
    assert "Image web is ready" in done.stdout and "web: " in done.stderr and "\r" not in done.stderr
    with open(tar, "rb") as stdin:
        made = json.loads(slicer("import", "-", "web2", "--json", stdin=stdin).stdout)
    assert made["name"] == "web2" and made["default_user"] == "anna"
    assert {i["name"] for i in json.loads(slicer("list", "--json").stdout)} >= {"web", "web2"}
    assert "web2" in slicer("ls").stdout
    assert "Image web removed" in slicer("rm", "web").stdout
    assert json.loads(slicer("wipe", "--json").stdout)["images"] == ["web2"]
    assert "not a tar archive" in slicer("import", "/dev/null", "x", code=2).stderr
    assert "no image" in slicer("remove", "web", code=1).stderr
