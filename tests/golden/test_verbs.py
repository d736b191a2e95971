# SPDX-License-Identifier: MIT
"""Every verb of Slicer's command line is there, or says that it is not there yet: never "unknown"."""
import subprocess

import pytest
from slicertest import SLICER, clihelp

TOP = """activate amp auto bg ca claude codex copilot cp disk exec forward fs image info install list logs ls new opencode pci pi
    proxy relaunch route secret service shell up update v version vm vm-state workspace worktree wt""".split()
VM = """add bg commit cp create delete exec fork forward group health launch list logs new pause port-forward ready relaunch
    remove restore resume route shell shutdown suspend tag top""".split()
DEEPER = [*(("vm", "tag", v) for v in ("list", "add", "remove", "replace")), *(("image", v) for v in ("list", "remove", "wipe")),
          ("service", "generate"), ("vm", "bg", "exec"), ("vm", "commit", "list"), ("secret", "create"), ("disk", "export"),
          ("ca", "init"), ("proxy", "up"), ("worktree", "push"), ("fs", "watch"), ("pci", "bind")]
VERBS = [*((v,) for v in TOP), *(("vm", v) for v in VM), *DEEPER]


def slicer(*words):
    return subprocess.run([SLICER, *words], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_verb(words):
    if slicer(*words, "--help").returncode == 0:
        return
    for more in ((), ("x", "--some-option=1")):
        done = slicer(*words, *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert "not in this version yet" in done.stderr and words[0] in done.stderr


def test_what_is_later_is_not_there():
    for here in clihelp.tree():
        assert not set(here.later) & {*here.commands, *here.shortcuts, *here.aliases}


def test_unknown_verbs_are_unknown():
    done = slicer("vm", "exce", "x")
    assert done.returncode == 2 and 'unknown command "vm exce"; did you mean "exec"?' in done.stderr
