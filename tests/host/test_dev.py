# SPDX-License-Identifier: MIT
"""./dev test runs tests that failed once more, by themselves, if they are few."""
import os
import pathlib
import subprocess

import pytest

DEV = pathlib.Path(__file__).resolve().parents[2] / "dev"
# The functions of ./dev, which does what its verb says as soon as it is read.
SCRIPT = """
set -euo pipefail
as_root() { "$@"; }
eval "$(sed -n '/^pytest_part()/,/^}/p; /^run_part()/,/^}/p; /^failed_again()/,/^}/p' "$DEV")"
run_part "$TMP" one "" tests/test_one.py && run_part "$TMP" two --net tests/test_two.py || exit 7
[ ! -f "$TMP/failed" ] || failed_again "$TMP"
"""
ONCE = """
import pathlib
def test_{name}():
    mark = pathlib.Path("{name}.seen")
    again = mark.exists()
    mark.touch()
    assert again
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tests").mkdir()
    private = tmp_path / "tools/private.sh"
    private.write_text('#!/bin/sh\n[ "$1" != --net ] || shift\nexec "$@"\n')
    private.chmod(0o755)
    for part in ("one", "two"):
        (tmp_path / f"tmp/store-{part}").mkdir(parents=True)

    def run(one, two="def test_good(): pass"):
        (tmp_path / "tests/test_one.py").write_text(one)
        (tmp_path / "tests/test_two.py").write_text(two)
        env = {**os.environ, "DEV": str(DEV), "TMP": str(tmp_path / "tmp"), "PYTEST_ADDOPTS": ""}
        return subprocess.run(["bash", "-c", SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    return run


def test_all_pass(tree):
    done = tree("def test_good(): pass")
    assert done.returncode == 0 and "once more" not in done.stdout, done


def test_what_passes_the_second_time_is_named(tree):
    done = tree(ONCE.format(name="a"), ONCE.format(name="b") + "def test_good(): pass\n")
    assert done.returncode == 0, done
    tail = done.stdout.split("only at the second attempt")[1]
    assert "test_one.py::test_a" in tail and "test_two.py::test_b" in tail and "test_good" not in tail
    assert "assert again" in done.stdout, "the failure itself is shown"


def test_what_fails_twice_fails(tree):
    done = tree(ONCE.format(name="a"), "def test_bad(): assert False")
    assert done.returncode == 1 and "second attempt" not in done.stdout, done


def test_many_failures_are_no_races(tree):
    done = tree("".join(ONCE.format(name=name) for name in "abcd"))
    assert done.returncode == 1 and "once more" not in done.stdout, done


def test_a_test_file_that_cannot_be_read_fails_at_once(tree):
    done = tree("import no_such_module_at_all")
    assert done.returncode == 7 and "once more" not in done.stdout, done
