# SPDX-License-Identifier: MIT
"""The package's slicer@.service says what `slicer service generate` would for /etc/slicer/NAME.yaml, and its microvm@.service what
`--slots` would for /etc/slicer/slots.yaml."""
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


def test_template_of_slots_is_what_is_generated(tmp_path):
    (tmp_path / "slots.yaml").write_text("config: {host_groups: [{name: infra, slots: {slot1: {}}}]}\n")
    made = subprocess.run([SLICER, "service", "generate", "--slots", tmp_path / "slots.yaml"],
                          capture_output=True, text=True, check=True).stdout
    template = (SOURCE / "tools/microvm@.service.in").read_text().replace("@BINDIR@/slicer", str(SLICER))
    template = template.replace("slicer@slots", "slicer-slots")
    assert settings(template) == settings(made)
