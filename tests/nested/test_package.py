# SPDX-License-Identifier: MIT
"""The Debian package: made twice it is the same, and a Debian takes it in, works with it and is rid of it."""
import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest
from slicertest import SOURCE, nested
from slicertest.doclinks import broken_links

pytestmark = pytest.mark.full


def make(source, **env):
    done = subprocess.run(["tools/deb.sh"], cwd=source, capture_output=True, text=True, timeout=1200,
                          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return pathlib.Path(source) / done.stdout.strip()


def sources(target, of=SOURCE):
    """A copy that is free to be built in."""
    return shutil.copytree(of, target, symlinks=True, ignore=shutil.ignore_patterns("build", "build-*", ".git", "__pycache__"))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make(sources(tmp_path_factory.mktemp("deb") / "a"))


def test_it_is_reproducible(package, tmp_path):
    # A path with a space or the like would be another story: dpkg-buildflags then leaves it in the debug information.
    again = make(sources(tmp_path / "somewhere-else", of=package.parents[1]), TZ="Pacific/Auckland", LC_ALL="C.UTF-8", HOME="/nonexistent")
    assert [hashlib.sha256(p.read_bytes()).hexdigest() for p in (package, again)] == \
        [hashlib.sha256(package.read_bytes()).hexdigest()] * 2


def test_its_pages_refer_to_each_other(package, tmp_path):
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    top = tmp_path / "usr/share/doc/slicer"
    assert {str(p.relative_to(SOURCE)) for p in [*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md")]} == \
        {str(p.relative_to(top)) for p in top.rglob("*.md")}
    assert [(p.name, link) for p in top.rglob("*.md") for link in broken_links(p, p.read_text())] == []


def test_a_debian_installs_upgrades_removes_it(package, store, tmp_path):
    code, said = nested.run(tmp_path, "exec /usr/bin/python3 -m pytest -x -q -p no:cacheprovider -rs --basetemp=/var/tmp/t "
                            "nested/inside/package.py\n", store, files={"slicer.deb": package},
                            needs_of_package=package, seconds=1800)
    print(said)
    assert code == 0 and " passed" in said, said[-6000:]
