# SPDX-License-Identifier: MIT
"""slicer service generate: what it prints, what it refuses, and what it installs where systemd's directories are a test's own."""
import os
import pathlib
import stat
import subprocess

import pytest
from slicertest import Cli, SLICER

UNITS = pathlib.Path("/etc/systemd/system")


@pytest.fixture
def cli(tmp_path):
    (tmp_path / "vm.yaml").write_text("config: {}\n")
    return Cli("http://127.0.0.1:1", cwd=tmp_path)


def text(done):
    return done.stderr.decode()


def test_prints(cli, tmp_path):
    unit = cli.ok("service", "generate", "vm.yaml").decode().splitlines()
    assert f"WorkingDirectory={tmp_path}" in unit
    assert f'ExecStart="{SLICER.resolve()}" up "{tmp_path}/vm.yaml"' in unit
    assert {"KillMode=process", "Delegate=yes", "RuntimeDirectoryPreserve=yes", "TimeoutStopSec=120"} <= set(unit)


def test_options_of_slicer(cli):
    """Scripts written for it give a licence; what this version cannot do is not left out silently."""
    assert cli.ok("service", "generate", "--license-file", "/nosuch/LICENSE", "vm.yaml") == cli.ok("service", "generate", "vm.yaml")
    done = cli("up", "--license-file", "/nosuch/LICENSE", "nosuch.yaml")
    assert done.returncode == 1 and "there is no nosuch.yaml" in text(done)
    for words in (["up"], ["service", "generate"]):
        done = cli(*words, "--suspend-on-shutdown", "vm.yaml")
        assert done.returncode == 1 and "--suspend-on-shutdown is not in this version yet" in text(done) and not done.stdout


def test_options(cli, tmp_path):
    (tmp_path / "state").mkdir()
    unit = cli.ok("service", "generate", "--user", "alex", "--timeout-stop-sec=7", "--working-directory", "state",
                  tmp_path / "vm.yaml").decode().splitlines()
    assert {"User=alex", "TimeoutStopSec=7", f"WorkingDirectory={tmp_path}/state"} <= set(unit)


@pytest.mark.parametrize("words,code,say", [
    (["other.yaml"], 1, "slicer new"),
    ([], 1, "slicer.yaml"),
    (["vm.yaml", "--working-directory", "nowhere"], 1, "nowhere is not there"),
    (["vm.yaml", "--working-directory", "vm.yaml"], 1, "is not there"),
    (["vm.yaml", "--user", "a b"], 2, "not the name of a user"),
    (["vm.yaml", "--name", "a/b"], 2, "--name"),
    (["vm.yaml", "--timeout-stop-sec", "0"], 2, "timeout-stop-sec"),
    (["vm.yaml", "more"], 2, ""),
])
def test_refuses(cli, words, code, say):
    done = cli("service", "generate", *words)
    assert done.returncode == code and say in text(done) and done.stdout == b""


def test_only_root_installs(cli, tmp_path):
    for path in [tmp_path, *tmp_path.parents]:
        if path != pathlib.Path("/tmp") and path.is_relative_to("/tmp"):
            os.chmod(path, 0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SLICER, "service", "generate",
                           "vm.yaml", "--install", "--name", "slicer-test-not-root"],
                          cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 1 and "sudo" in text(done)
    assert not (UNITS / "slicer-test-not-root.service").exists()


SYSTEMD = """set -e
mount --make-rprivate /
mkdir -p "$1/units" "$1/run"
mount --bind "$1/units" /etc/systemd/system
mount --bind "$1/run" /run
shift
exec "$@"
"""


@pytest.fixture
def install(cli, tmp_path):
    """Runs it where /etc/systemd/system and /run are directories of this test; systemctl only writes down what it is told."""
    bin_dir, log = tmp_path / "bin", tmp_path / "systemctl.log"
    bin_dir.mkdir()
    (bin_dir / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{log}\n[ ! -e {tmp_path}/fail ]\n')
    (bin_dir / "systemctl").chmod(0o755)
    (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)

    def run(*words, file="vm.yaml"):
        log.unlink(missing_ok=True)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", SYSTEMD, "sh", tmp_path, SLICER, "service", "generate",
                               file, "--install", *words], cwd=tmp_path, capture_output=True, timeout=60,
                              env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"})
        return done, log.read_text().splitlines() if log.exists() else []
    return run


def test_installs(cli, install, tmp_path):
    done, said = install()
    assert done.returncode == 0, text(done)
    assert said == ["daemon-reload", "enable slicer-vm.service", "restart slicer-vm.service"]
    unit = tmp_path / "units" / "slicer-vm.service"
    assert unit.read_bytes() == cli.ok("service", "generate", "vm.yaml")
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644

    unit.write_text("mine")
    done, said = install()
    assert done.returncode == 1 and "--force" in text(done) and said == []
    assert unit.read_text() == "mine"

    done, said = install("--force")
    assert done.returncode == 0 and len(said) == 3
    assert "ExecStart=" in unit.read_text()
    assert [p.name for p in (tmp_path / "units").iterdir()] == ["slicer-vm.service"]


def test_slots_of_two_daemons(install, tmp_path):
    """Each template belongs to one: the second is refused and says what to do, and nothing of the first's is touched."""
    units = tmp_path / "units"
    for name, slot, port in (("a", "slot1", 8080), ("b", "slot7", 8081)):
        (tmp_path / f"{name}.yaml").write_text(
            f"config: {{host_groups: [{{name: {name}, slots: {{{slot}: {{}}}}}}], api: {{port: {port}}}}}\n")
    done, said = install(file="a.yaml")
    assert done.returncode == 0, text(done)
    assert said == ["daemon-reload", "enable microvm@slot1.service", "daemon-reload", "enable slicer-a.service",
                    "restart slicer-a.service"]
    first = (units / "microvm@.service").read_text()
    assert "Wants=slicer-a.service\n" in first and ":8080" in first

    for words in ((), ("--force",)):
        done, said = install(*words, file="b.yaml")
        assert done.returncode == 1 and said == []
        assert "slots of slicer-a.service already" in text(done) and "--slot-unit slicer-b-slot" in text(done)
    assert {p.name for p in units.iterdir()} == {"microvm@.service", "slicer-a.service"}

    done, said = install("--slot-unit", "lab", file="b.yaml")
    assert done.returncode == 0 and "enable lab@slot7.service" in said, text(done)
    assert (units / "microvm@.service").read_text() == first
    second = (units / "lab@.service").read_text()
    assert "Wants=slicer-b.service\n" in second and ":8081" in second

    done, said = install("--force", file="a.yaml")
    assert done.returncode == 0 and "enable microvm@slot1.service" in said, text(done)
    (units / "microvm@.service").write_text("[Service]\nExecStart=/bin/true\n")
    done, said = install("--force", file="a.yaml")
    assert done.returncode == 1 and "microvm@.service is not slicer's" in text(done) and said == []
    done, said = install("--slot-unit", "a/b", file="a.yaml")
    assert done.returncode == 2 and "--slot-unit" in text(done)


@pytest.mark.parametrize("words", [("--force",), ("--slot-unit", "lab")])
def test_options_of_the_installation_need_it(cli, words):
    done = cli("service", "generate", *words, "vm.yaml")
    assert done.returncode == 2 and f"{words[0]} goes with --install" in text(done)


def test_install_needs_systemd(install, tmp_path):
    (tmp_path / "run" / "systemd" / "system").rmdir()
    done, said = install()
    assert done.returncode == 1 and "not run by systemd" in text(done)
    assert said == [] and list((tmp_path / "units").iterdir()) == []


def test_systemctl_fails(install, tmp_path):
    (tmp_path / "fail").touch()
    done, said = install()
    assert done.returncode == 1 and "slicer-vm.service" in text(done) and said == ["daemon-reload"]
