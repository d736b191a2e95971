# SPDX-License-Identifier: MIT
"""What README and docs/ show is run as it stands there, in order, with real guests."""
import pytest
from slicertest import BUILD, SOURCE
from slicertest import doccommands

PAGES = sorted([SOURCE / "README.md", *(SOURCE / "docs").glob("*.md")])
# Each begins with nothing and starts its daemon itself; the others are read while README's daemon runs.
STORIES = ["README.md", "docs/first-session.md"]


def name(path):
    return str(path.relative_to(SOURCE))


@pytest.fixture(params=STORIES)
def session(request, store, debian_build, tmp_path):
    # What a reader has at hand.
    (tmp_path / "notes.txt").write_text("to be copied\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.c").write_text("int main(void) { return 0; }\n")
    one = doccommands.Session(tmp_path, BUILD / "src", store, env={"SLICER_ACCEL": "tcg"})
    yield request.param, one
    one.stop()


def test_pages_work(session):
    story, shell = session
    others = [name(p) for p in PAGES if name(p) not in STORIES] if story == STORIES[0] else []
    for page in [story, *others]:
        for command in doccommands.commands((SOURCE / page).read_text()):
            shell.do(command, page)
