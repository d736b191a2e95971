# SPDX-License-Identifier: MIT
"""What the documents show from which the networks were made. seeds/*.md are their code blocks, each after the line of prose before it,
letter by letter: each `slicer new` has a golden, or the YAML that the document says it generates, and all other YAML is taken."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest
import yaml
from test_new import EXAMPLES, GOLDEN, find_program

SEEDS = pathlib.Path(__file__).parent / "seeds"
KEY = "ssh-ed25519 AAAA me@host"
HAVE = {tuple(words): name for name, words in EXAMPLES.items()}


def commands(text):
    """Of a block of shell, without what the shell makes of them: words, redirections cut off."""
    text = re.sub(r"<<EOF.*?^EOF$", "", text, flags=re.M | re.S).replace("\\\n", "")
    for line in text.split("\n"):
        words = shlex.split(line, comments=True)
        words = words[words[:2] == ["sudo", "-E"] and 2 or 0:]
        if words[:1] == ["slicer"]:
            yield words[1:words.index(">")] if ">" in words else words[1:]


def read():
    """[(document, "new"|"verb"|"yaml", words or text, YAML that a command generates or None)]"""
    found = []
    for path in sorted(SEEDS.glob("*.md")):
        for block in re.finditer(r"(?:\A|\n\n)([^\n]*)\n\n```(\w+)\n(.*?)\n```(?=\n)", path.read_text(), re.S):
            prose, kind, text = block.groups()
            if kind == "bash":
                found += [[path.name, "new" if words[0] == "new" else "verb", words, None] for words in commands(text)]
            elif "generate" in prose:
                next(one for one in reversed(found) if one[1] == "new")[3] = text
            else:
                found.append([path.name, "yaml", text, None])
    return found


FOUND = read()


def of(kind):
    return [pytest.param(*one[2:], id=f"{one[0]}-{n}") for n, one in enumerate(FOUND) if one[1] == kind]


@pytest.fixture
def run(tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519.pub").write_text(KEY + "\n")

    def run(*words):
        words = [word.replace("~/", f"{tmp_path}/") for word in words]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SLICER_URL": str(tmp_path / "nobody.sock")}
        return subprocess.run([find_program(), *words], env=env, text=True, capture_output=True, timeout=20, cwd=tmp_path)
    return run


def test_all_blocks_are_read():
    count = {kind: len([one for one in FOUND if one[1] == kind]) for kind in ("new", "verb", "yaml")}
    assert count == {"new": 17, "verb": 8, "yaml": 8}
    assert len([one for one in FOUND if one[3]]) == 6
    assert all(path.read_text().count("\n```\n") == len(re.findall(r"^```\w+$", path.read_text(), re.M)) for path in SEEDS.glob("*.md"))


@pytest.mark.parametrize("words, generates", of("new"))
def test_new(run, words, generates):
    done = run(*words, "--find-ssh-keys=false")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    made = yaml.safe_load(done.stdout)
    if "--ssh-key" in words:
        assert made["config"].pop("ssh_keys") == [KEY]
        words = words[:words.index("--ssh-key")]
    if generates:
        assert made == yaml.safe_load(generates)
    assert made == yaml.safe_load((GOLDEN / f"{HAVE[tuple(words[1:])]}.yaml").read_text())


@pytest.mark.parametrize("words, _", of("verb"))
def test_other_commands_are_known(run, words, _):
    """They need VMs and files, which are not here: what is wrong is that, and not how they are written."""
    done = run(*words)
    assert done.returncode not in (0, 2), done.stderr


@pytest.mark.parametrize("text, _", of("yaml"))
def test_yaml_is_taken(run, text, _, tmp_path):
    (tmp_path / "seed.yaml").write_text(text)
    done = run("service", "generate", "--slots", "seed.yaml")
    assert "has no slots" in done.stderr, done.stderr


def test_five_slots(run, tmp_path):
    """The units of the document have slots of these names, and its line for Tailscale is printed letter by letter."""
    page = (SEEDS / "simple-microvm-infra.md").read_text()
    slots = re.findall(r"microvm@(\w+)", page)
    lines = "".join(f"      {slot}: {{}}\n" for slot in slots)
    (tmp_path / "slots.yaml").write_text(f"config:\n  host_groups:\n  - name: infra\n    slots:\n{lines}")
    unit = run("service", "generate", "--slots", "slots.yaml")
    assert unit.returncode == 0 and 'vm relaunch --if-stopped --wait 60s "%i"' in unit.stdout
    said = run("vm", "route", "slots.yaml")
    (line,) = re.findall(r"^tailscale up .*$", page, re.M)
    assert len(slots) == 5 and f"  sudo {line}\n" in said.stdout


PAGE = (pathlib.Path(__file__).parents[2] / "docs/networks.md").read_text()


def mode_of(group):
    network = group.get("network")
    return "slots" if "slots" in group else "CNI" if network is None else network.get("mode", "bridge")


def test_the_page_of_networks_has_a_configuration_for_each_mode(run, tmp_path):
    """Each is under the heading of its mode, and taken."""
    found = {}
    for title, text in re.findall(r"^## (.*?)$(.*?)(?=^## |\Z)", PAGE, re.M | re.S):
        for block in re.findall(r"^```yaml\n(config:.*?)^```$", text, re.M | re.S):
            (group,) = yaml.safe_load(block)["config"]["host_groups"]
            assert title.strip("`").lower().startswith(mode_of(group).lower()), title
            (tmp_path / "page.yaml").write_text(block)
            done = run("service", "generate", "--slots", "page.yaml")
            assert done.returncode == 0 or "has no slots" in done.stderr, done.stderr
            found[mode_of(group)] = title
    assert found.keys() == {"bridge", "isolated", "slots", "macvtap", "user", "CNI"}
