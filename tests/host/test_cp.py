# SPDX-License-Identifier: MIT
"""Copying in and out: through the API, by the command line, with hostile archives, and in flat memory."""
import base64
import hashlib
import io
import os
import pathlib
import pwd
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest
from slicertest import alive, descendants, fd_count, peak_rss, rss, until

MIB = 1024 * 1024
FLAT = 4 * MIB
ROOT = {"uid": 0, "gid": 0}


@pytest.fixture
def place():
    """A directory of the fake guest, which is this host, where any user may write."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="slicer-cp-", dir="/tmp"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def put(api, vm, path, body, **params):
    return api.post(f"/vm/{vm}/cp", {"path": str(path), **params}, body=body)


def get(api, vm, path, **params):
    return api.get(f"/vm/{vm}/cp", {"path": str(path), **params})


def make_tar(entries):
    """entries: (name, data or None for a directory, further attributes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, *more in entries:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.mode = 0o755 if data is None else 0o644
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            info.size = len(data) if data and info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def read_tar(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name + ("/" if m.isdir() else ""): (tar.extractfile(m).read() if m.isfile() else None, m)
                for m in tar.getmembers()}


# --- one file

def test_binary_in_and_out(api, vm, place):
    data = os.urandom(100001)
    assert put(api, vm, place / "f", data, **ROOT).status == 200
    assert (place / "f").read_bytes() == data
    answer = get(api, vm, place / "f", **ROOT)
    assert answer.status == 200 and answer.body == data
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-slicer-file-mode"] == "%04o" % (os.stat(place / "f").st_mode & 0o7777)


def test_owner_and_permissions(api, vm, place):
    default = next((p for p in sorted(pwd.getpwall(), key=lambda p: p.pw_uid) if 1000 <= p.pw_uid < 65534),
                   pwd.getpwuid(0))
    for name, params, uid, gid, mode in (
            ("a", {}, default.pw_uid, default.pw_gid, None), ("b", {"uid": 0, "gid": 0, "permissions": "0751"}, 0, 0, 0o751),
            ("c", {"uid": 1234, "gid": 5678, "permissions": "600"}, 1234, 5678, 0o600)):
        assert put(api, vm, place / name, b"x", **params).status == 200
        st = os.stat(place / name)
        assert (st.st_uid, st.st_gid) == (uid, gid)
        assert mode is None or st.st_mode & 0o7777 == mode
        assert get(api, vm, place / name, **params | {"permissions": None}).headers["x-slicer-file-mode"] == \
            "%04o" % (st.st_mode & 0o7777)


def test_a_user_may_only_what_it_may(api, vm, place):
    secret = place / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    answer = get(api, vm, secret, uid=65534, gid=65534)
    assert answer.status in (403, 400, 500) and answer.error
    closed = place / "closed"
    closed.mkdir(mode=0o755)
    assert put(api, vm, closed / "x", b"x", uid=65534, gid=65534).status != 200
    assert list(closed.iterdir()) == []


def test_empty_overwritten_and_new_directories(api, vm, place):
    assert put(api, vm, place / "d/e/f", b"", **ROOT).status == 200
    assert (place / "d/e/f").read_bytes() == b""
    inode = os.stat(place / "d/e/f").st_ino
    assert put(api, vm, place / "d/e/f", b"new", **ROOT).status == 200
    assert (place / "d/e/f").read_bytes() == b"new" and os.stat(place / "d/e/f").st_ino != inode
    assert os.listdir(place / "d/e") == ["f"], "no temporary file is left"


def test_chunked_upload_and_names(api, vm, place):
    name = "ü ber/na'me \"x\" %41+&=?"
    (place / "ü ber").mkdir()
    answer = api.post(f"/vm/{vm}/cp", {"path": str(place / name), **ROOT}, body=iter([b"one", b"two"]), chunked=True,
                      headers={"Transfer-Encoding": "chunked"})
    assert answer.status == 200
    assert (place / name).read_bytes() == b"onetwo"
    assert get(api, vm, place / name, **ROOT).body == b"onetwo"


def test_home_of_the_user(api, vm):
    home = pathlib.Path("/root/.slicer-cp-test")
    try:
        assert put(api, vm, "~/.slicer-cp-test", b"h", **ROOT).status == 200
        assert home.read_bytes() == b"h"
        assert get(api, vm, "~/.slicer-cp-test", **ROOT).body == b"h"
    finally:
        home.unlink(missing_ok=True)


@pytest.mark.parametrize("path, params, status, words", [
    ("/no/such/file", {}, 404, ""), ("/etc", {}, 400, "must specify a file not a directory"),
    ("/etc/passwd", {"mode": "nosuch"}, 400, "invalid mode: nosuch"), ("", {}, 400, "path"),
    ("/etc/passwd", {"uid": "x"}, 400, ""), ("/etc/passwd/x", {}, 404, ""),
    ("/no/such", {"mode": "tar"}, 404, ""), ("/etc/passwd", {"mode": "tar"}, 400, "")])
def test_downloads_that_fail(api, vm, path, params, status, words):
    answer = get(api, vm, path, **params)
    assert answer.status == status and words in answer.error


@pytest.mark.parametrize("params, status, words", [
    ({"mode": "nosuch"}, 400, "invalid mode: nosuch"), ({"permissions": "9"}, 400, "permissions"),
    ({"permissions": "-1"}, 400, "permissions"), ({"mode": "cp-v1-recursive"}, 400, "invalid mode"),
    ({"mode": "cp-v1-binary", "copy_semantics": "cp-v1"}, 400, "source_type"),
    ({"mode": "cp-v1-binary", "copy_semantics": "cp-v1", "source_type": "file", "source_name": "../x"}, 400, "source_name"),
    ({"mode": "tar"}, 400, "")])
def test_uploads_that_fail(api, vm, place, params, status, words):
    answer = put(api, vm, place / "x", b"this is no tar archive" * 100, **ROOT, **params)
    assert answer.status == status and words in answer.error
    assert not (place / "x").is_file()


def test_upload_onto_a_directory_or_through_a_file(api, vm, place):
    (place / "dir").mkdir()
    (place / "file").write_text("f")
    for path in (place / "dir", place / "file" / "x"):
        answer = put(api, vm, path, b"x", **ROOT)
        assert answer.status == 400 and answer.error
    assert (place / "file").read_text() == "f" and list((place / "dir").iterdir()) == []


def test_special_files_are_refused(api, vm, place):
    os.mkfifo(place / "fifo")
    start = time.monotonic()
    for path in (place / "fifo", "/dev/zero"):
        assert get(api, vm, path, **ROOT).status == 400
    assert time.monotonic() - start < 45, "nobody waits for what a pipe may bring"


# --- trees

def test_tar_in_and_out(api, vm, place):
    tree = make_tar([("a", None), ("a/b.txt", b"text"), ("a/run", b"#!", {"mode": 0o100}), ("empty", None),
                     ("a/long" + "n" * 200, b"long"), ("back\\slash", b"b"), ("a/b.time", b"t", {"mtime": 1234567890})])
    assert put(api, vm, place / "t", tree, mode="tar", **ROOT).status == 200
    top = place / "t"
    assert (top / "a/b.txt").read_bytes() == b"text" and (top / "empty").is_dir()
    assert (top / ("a/long" + "n" * 200)).exists() and (top / "back\\slash").exists()
    assert os.stat(top / "a/b.time").st_mtime == 1234567890

    os.symlink("b.txt", top / "a/link")
    os.mkfifo(top / "a/fifo")
    answer = get(api, vm, top, mode="tar", **ROOT)
    assert answer.status == 200 and answer.headers["content-type"] == "application/x-tar"
    found = read_tar(answer.body)
    assert found["a/run"][1].mode == 0o111, "any exec bit is all of them"
    assert found["a/b.txt"][0] == b"text" and "empty/" in found and found["a/b.time"][1].mtime == 1234567890
    assert not any("link" in name or "fifo" in name for name in found), "links and special files are left out"
    assert not any(name.startswith((".", "/")) for name in found)


def test_exclude(api, vm, place):
    for name in ("keep", "x.log", "d/y.log", "d/keep", "skip/deep/z"):
        (place / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "t" / name).write_text(name)
    found = read_tar(get(api, vm, place / "t", mode="tar", exclude=["*.log", "skip/**"], **ROOT).body)
    assert sorted(n for n in found if not n.endswith("/")) == ["d/keep", "keep"]


HOSTILE = {
    "parent": [("../evil", b"x")],
    "deep parent": [("a/../../evil", b"x")],
    "absolute": [("/tmp/slicer-evil", b"x")],
    "symlink out": [("l", b"", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}), ("l/slicer-evil", b"x")],
    "relative symlink out": [("l", b"", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("l/evil", b"x")],
    "hard link out": [("h", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"})],
    "hard link up": [("h", b"", {"type": tarfile.LNKTYPE, "linkname": "../outside"})],
    "device": [("dev", b"", {"type": tarfile.BLKTYPE, "devmajor": 1, "devminor": 0})],
    "fifo": [("fifo", b"", {"type": tarfile.FIFOTYPE})],
    "setuid": [("suid", b"x", {"mode": 0o6755})],
    "dot": [(".", None), ("./x", b"x")],
    "empty segment": [("a//b", b"x")],
    "NUL in pax path": [("a", b"x", {"pax_headers": {"path": "a\0/etc/passwd"}})],
    "huge size": [("a", b"", {"pax_headers": {"size": "9223372036854775807"}})],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_change_nothing_outside(api, vm, place, name):
    (place / "outside").write_text("untouched")
    before = sorted(os.listdir("/tmp"))
    answer = put(api, vm, place / "t", make_tar(HOSTILE[name]), mode="tar", **ROOT)
    assert answer.status in (200, 400), answer
    assert set(os.listdir(place)) <= {"outside", "t"} and (place / "outside").read_text() == "untouched"
    assert "slicer-evil" not in os.listdir("/tmp") and not os.path.exists("/tmp/evil")
    assert [n for n in sorted(os.listdir("/tmp")) if n not in before and n.startswith("slicer-evil")] == []
    for path in (place / "t").rglob("*"):
        assert path.is_symlink() or path.is_dir() or path.is_file(), f"{path} is something special"
        assert not path.is_symlink(), "links are not made"
        assert os.stat(path).st_mode & 0o6000 == 0 and os.stat(path).st_nlink == (1 if path.is_file() else os.stat(path).st_nlink)
    assert api.get(f"/vm/{vm}/health").status == 200


def test_existing_symlinks_are_not_followed_out(api, vm, place):
    target = place / "target"
    target.mkdir()
    (place / "t").mkdir()
    os.symlink(target, place / "t/link")
    put(api, vm, place / "t", make_tar([("link/evil", b"x")]), mode="tar", **ROOT)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"\0" * 1024, b"\0" * 100, os.urandom(2048), make_tar([("a", b"x" * 5000)])[:3000]])
def test_broken_archives_are_refused_or_empty(api, vm, place, data):
    answer = put(api, vm, place / "t", data, mode="tar", **ROOT)
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert data.strip(b"\0") == b"", "only an archive of nothing is one"
    left = [p for p in place.rglob("*") if p.is_file()]
    assert left == [], "a file that did not come in whole is not left"


def test_upload_that_cannot_fit_is_refused_early(api, vm, place):
    tree = make_tar([("a", b"x")])
    answer = api.post(f"/vm/{vm}/cp", {"path": str(place / "t"), "mode": "tar", **ROOT}, body=tree,
                      headers={"X-Slicer-Unpacked-Size": str(1 << 60)})
    assert answer.status == 507 and answer.error
    assert not (place / "t/a").exists()


# --- cp-v1

def v1(kind, name=None, **more):
    return {"mode": "cp-v1-tar" if kind == "directory" else "cp-v1-binary", "copy_semantics": "cp-v1",
            "source_type": kind, "source_name": name, **ROOT, **more}


def test_v1_file_destinations(api, vm, place):
    (place / "dir").mkdir()
    assert put(api, vm, place / "dir", b"1", **v1("file", "name")).status == 200
    assert (place / "dir/name").read_bytes() == b"1"
    assert put(api, vm, place / "new", b"2", **v1("file", "name")).status == 200
    assert (place / "new").read_bytes() == b"2"
    assert put(api, vm, place / "new", b"3", **v1("file", "name")).status == 200
    assert (place / "new").read_bytes() == b"3"
    answer = put(api, vm, f"{place}/missing/", b"4", **v1("file", "name"))
    assert answer.status == 400 and answer.error and not (place / "missing").exists()


def test_v1_directory_destinations(api, vm, place):
    tree = make_tar([("f", b"1"), ("d", None)])
    (place / "dir").mkdir()
    (place / "file").write_text("f")
    assert put(api, vm, place / "dir", tree, **v1("directory", "src")).status == 200
    assert (place / "dir/src/f").exists()
    assert put(api, vm, place / "dir", tree, **v1("directory", "src", copy_contents=True)).status == 200
    assert (place / "dir/f").exists()
    assert put(api, vm, place / "new", tree, **v1("directory", "src")).status == 200
    assert (place / "new/f").exists() and not (place / "new/src").exists()
    assert put(api, vm, place / "file", tree, **v1("directory", "src")).status == 400
    assert (place / "file").read_text() == "f"


def test_v1_downloads_name_their_source(api, vm, place):
    (place / "d ü").mkdir()
    (place / "d ü/f").write_text("x")

    def name_of(answer):
        coded = answer.headers["x-slicer-source-name-base64"]
        assert "=" not in coded
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    directory = get(api, vm, place / "d ü", mode="cp-v1-recursive", copy_semantics="cp-v1", **ROOT)
    assert directory.headers["x-slicer-source-type"] == "directory" and name_of(directory) == "d ü"
    assert directory.headers["content-type"] == "application/x-tar" and "f" in read_tar(directory.body)
    one = get(api, vm, place / "d ü/f", mode="cp-v1-recursive", copy_semantics="cp-v1", **ROOT)
    assert one.headers["x-slicer-source-type"] == "file" and name_of(one) == "f" and one.body == b"x"
    binary = get(api, vm, place / "d ü/f", mode="cp-v1-binary", copy_semantics="cp-v1", **ROOT)
    assert binary.headers["x-slicer-source-type"] == "file" and binary.body == b"x"
    contents = get(api, vm, f"{place}/d ü/.", mode="cp-v1-tar", copy_semantics="cp-v1", **ROOT)
    assert contents.headers["x-slicer-source-type"] == "directory" and "f" in read_tar(contents.body)


# --- much of it

def watched_rss(fake, vm):
    return {pid: rss(pid) for pid in [fake.pid, fake.agent_server(vm)]}


class Peak:
    def __init__(self, pids):
        self.before = dict(pids)
        self.peak, self.stop = dict(pids), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.stop.wait(0.02):
            for pid in self.peak:
                self.peak[pid] = max(self.peak[pid], rss(pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    @property
    def growth(self):
        return max(self.peak[pid] - self.before[pid] for pid in self.peak)


def test_64_mib_in_and_out_in_flat_memory(fake, api, vm, place):
    block = os.urandom(MIB)
    put(api, vm, place / "warm", block, **ROOT)
    get(api, vm, place / "warm", **ROOT)
    whole = hashlib.sha256(block * 64).digest()
    with Peak(watched_rss(fake, vm)) as peak:
        answer = api.post(f"/vm/{vm}/cp", {"path": str(place / "big"), **ROOT}, body=(block for _ in range(64)),
                          chunked=True, headers={"Transfer-Encoding": "chunked"})
        assert answer.status == 200
        assert hashlib.sha256((place / "big").read_bytes()).digest() == whole
        digest = hashlib.sha256()
        response = api.open("GET", f"/vm/{vm}/cp", {"path": str(place / "big"), **ROOT})
        assert response.status == 200
        while data := response.read(MIB):
            digest.update(data)
        response.connection.close()
        assert digest.digest() == whole
    assert peak.growth < FLAT


def test_64_mib_of_tar_in_and_out_in_flat_memory(fake, api, vm, place):
    tree = make_tar([(f"d{i}/f{j}", os.urandom(MIB)) for i in range(8) for j in range(8)])
    with Peak(watched_rss(fake, vm)) as peak:
        assert put(api, vm, place / "t", tree, mode="tar", **ROOT).status == 200
        out = get(api, vm, place / "t", mode="tar", **ROOT)
    assert {n: d for n, (d, _) in read_tar(out.body).items() if d is not None} == \
        {n: d for n, (d, _) in read_tar(tree).items()}
    assert peak.growth < FLAT


def test_a_download_that_is_not_read_holds_nothing_up(fake, api, vm, place):
    (place / "big").write_bytes(os.urandom(64 * MIB))
    before = watched_rss(fake, vm)
    with api.raw() as raw:
        raw.head("GET", f"/vm/{vm}/cp", {"path": str(place / "big"), **ROOT})
        assert raw.read_head()[0] == 200
        time.sleep(1)
        assert all(rss(pid) - size < FLAT for pid, size in before.items())
        assert get(api, vm, "/etc/hostname", **ROOT).status == 200


# --- leaving

def test_an_upload_that_is_cut_leaves_no_file(fake, api, vm, place):
    (place / "f").write_text("old")
    for path in (place / "f", place / "new"):
        before = set(descendants(fake.vmm_pid(vm)))  # of which some may still be about to end
        with api.raw() as raw:
            raw.head("POST", f"/vm/{vm}/cp", {"path": str(path), **ROOT}, Content_Length=1000000)
            raw.send(b"x" * 300000)
            made = until(lambda: set(descendants(fake.vmm_pid(vm))) - before)
        until(lambda: not any(alive(p) for p in made), what="the copying process is gone")
    until(lambda: not [name for name in os.listdir(place) if name != "f"])
    assert sorted(os.listdir(place)) == ["f"] and (place / "f").read_text() == "old"


def test_a_download_that_is_cut_ends_its_process(fake, api, vm, place):
    (place / "big").write_bytes(b"\0" * (32 * MIB))
    before, fds = set(descendants(fake.vmm_pid(vm))), fd_count(fake.pid)
    with api.raw() as raw:
        raw.head("GET", f"/vm/{vm}/cp", {"path": str(place / "big"), **ROOT})
        raw.read_head()
    until(lambda: set(descendants(fake.vmm_pid(vm))) <= before and fd_count(fake.pid) <= fds, 30)


# --- the command line

def same_tree(a, b):
    done = subprocess.run(["diff", "-r", a, b], capture_output=True, text=True)
    return done.returncode == 0 or pytest.fail(done.stdout)


def test_cli_round_trips(fake, vm, place, tmp_path):
    cli = fake.cli
    source = tmp_path / "src"
    (source / "sub/empty").mkdir(parents=True)
    (source / "bin").write_bytes(os.urandom(3 * MIB))
    (source / "bin").chmod(0o755)
    (source / "sub/ü").write_text("text")
    cli.ok("vm", "cp", source / "bin", f"{vm}:{place}/bin")
    assert (place / "bin").read_bytes() == (source / "bin").read_bytes()
    assert os.stat(place / "bin").st_mode & 0o777 == 0o755
    cli.ok("vm", "cp", f"{vm}:{place}/bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (source / "bin").read_bytes()
    assert os.stat(tmp_path / "back").st_mode & 0o777 == 0o755

    cli.ok("vm", "cp", "-r", source, f"{vm}:{place}/tree")
    same_tree(source, place / "tree")
    cli.ok("vm", "cp", "-r", source, f"{vm}:{place}/tree")
    same_tree(source, place / "tree/src")
    shutil.rmtree(place / "tree/src")
    cli.ok("vm", "cp", "-r", f"{vm}:{place}/tree", tmp_path / "out")
    same_tree(source, tmp_path / "out")
    cli.ok("vm", "cp", "-r", f"{vm}:{place}/tree/.", tmp_path / "contents")
    same_tree(source, tmp_path / "contents")


def test_cli_errors(fake, vm, place, tmp_path):
    cli = fake.cli
    for args, code in (((tmp_path / "nosuch", f"{vm}:/tmp/x"), 1), ((f"{vm}:/no/such", tmp_path / "x"), 1),
                       ((tmp_path, f"{vm}:{place}/x"), 1), ((f"{vm}:/etc", tmp_path / "x"), 1), (("a", "b"), 2),
                       ((f"{vm}:/a", f"{vm}:/b"), 2), (("nosuch-9:/etc/passwd", tmp_path / "x"), 1)):
        done = cli("vm", "cp", *args)
        assert done.returncode in (code, 1, 2) and done.stderr, args
        assert not (tmp_path / "x").exists()


def test_cli_copies_64_mib_in_flat_memory(fake, vm, place, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(64 * MIB))
    for args in ((tmp_path / "big", f"{vm}:{place}/big"), (f"{vm}:{place}/big", tmp_path / "back")):
        process = fake.cli.popen("vm", "cp", *args)
        peak = peak_rss(process)
        assert process.returncode == 0 and peak < 24 * MIB
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()
