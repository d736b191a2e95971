# SPDX-License-Identifier: MIT
"""The package's slicer@.service says what `slicer service generate` would for /etc/slicer/NAME.yaml."""
import subprocess

from slicertest import SLICER, SOURCE


def settings(text):
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def test_template_is_what_is_generated(tmp_path):
    (tmp_path / "vm.yaml").touch()
    made = subprocess.run([SLICER, "service", "generate", "--working-directory", tmp_path, tmp_path / "vm.yaml"],
                          capture_output=True, text=True, check=True).stdout
    template = (SOURCE / "tools/slicer@.service.in").read_text()
    template = template.replace("@BINDIR@/slicer", str(SLICER)).replace("/var/lib/slicer", str(tmp_path))
    assert settings(template.replace("/etc/slicer/%i", str(tmp_path / "vm"))) == settings(made)
