# SPDX-License-Identifier: MIT
"""What a start of a daemon keeps for the next one is not believed when the files that it comes from have changed."""
import json
import os
import pathlib
import shutil

from slicertest import AGENT, IMAGE, MONITOR


def kept(d):
    return json.loads((d.state_dir / "kept.json").read_text())


def initramfs(d):
    answers = [a for name, a in kept(d).items() if name.startswith("slicer-image ")]
    assert len(answers) == 1, answers
    return pathlib.Path(json.loads(answers[0]["value"])["initramfs"])


def helpers(directory):
    """Programs of its own for a daemon, so that the test may change them."""
    directory.mkdir()
    for program in (AGENT, IMAGE, MONITOR):
        shutil.copy(program, directory / program.name)
    return {"SLICER_LIBEXECDIR": str(directory)}


def restart(d):
    assert d.stop() == 0
    d.start()


def test_what_is_kept_is_used(daemon, tmp_path):
    d = daemon(env=helpers(tmp_path / "libexec"))
    path, before = initramfs(d), kept(d)
    os.utime(path, (1, 1))
    restart(d)
    assert path.stat().st_mtime > 1, "an initramfs that is in use has to count as used"
    assert kept(d) == before


def test_a_new_agent_gets_an_initramfs_of_its_own(daemon, tmp_path):
    d = daemon(env=helpers(tmp_path / "libexec"))
    before = initramfs(d)
    with open(tmp_path / "libexec" / AGENT.name, "ab") as f:
        f.write(b"\0")
    restart(d)
    assert initramfs(d) != before
    assert initramfs(d).exists()
    initramfs(d).unlink()  # the store is shared: what this agent needed is nobody's


def test_an_initramfs_that_is_gone_is_made_again(daemon, tmp_path):
    d = daemon(env=helpers(tmp_path / "libexec"))
    with open(tmp_path / "libexec" / AGENT.name, "ab") as f:
        f.write(b"\0\0")
    restart(d)
    path = initramfs(d)
    path.unlink()
    restart(d)
    assert initramfs(d) == path and path.exists()
    path.unlink()


def test_a_damaged_file_is_no_obstacle(daemon):
    d = daemon()
    before = kept(d)
    (d.state_dir / "kept.json").write_text("{")
    restart(d)
    assert kept(d) == before


def test_the_version_of_qemu(daemon):
    """What QEMU says is asked once per QEMU: another stamp, and it is asked again."""
    d = daemon(hypervisor="qemu")
    answers = kept(d)
    version = answers["qemu-version"]["value"]
    answers["qemu-version"]["value"] = "9.9.9"
    (d.state_dir / "kept.json").write_text(json.dumps(answers))
    restart(d)
    assert "qemu 9.9.9" in d.log_text()
    answers["qemu-version"]["stamp"] += "x"
    (d.state_dir / "kept.json").write_text(json.dumps(answers))
    restart(d)
    assert kept(d)["qemu-version"]["value"] == version
