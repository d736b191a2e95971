# SPDX-License-Identifier: MIT
"""./dev demo, but for what it installs and builds first."""
import pytest
from slicertest import BUILD, SOURCE, doccommands


@pytest.mark.full
def test_the_demo_runs(store, tmp_path):
    shell = doccommands.Session(tmp_path, BUILD / "src", store, env={"SLICER_ACCEL": "tcg"})
    try:
        status, said = shell.run(f"{SOURCE}/tools/demo.sh {BUILD}", seconds=900)
    finally:
        shell.stop()
    assert status == 0 and "THROUGH STDIN" in said and "The demo ran" in said, said
