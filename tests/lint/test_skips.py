# SPDX-License-Identifier: MIT
"""The list of tests that may be skipped names tests that are there, and is heard wherever pytest runs."""
import re
import types

import pytest
from slicertest.paths import SOURCE


@pytest.fixture
def conftest(request):
    return request.config.pluginmanager.get_plugin(str(SOURCE / "tests/conftest.py"))


def test_they_are_there(conftest):
    for name in conftest.allowed_skips():
        path, _, function = name.partition("::")
        text = (SOURCE / path).read_text()
        assert not function or re.search(rf"^def {re.escape(function.partition('[')[0])}\(", text, re.M), name


@pytest.mark.parametrize("top", ["", "tests/"])  # of pytest's ids: where its configuration is, or not
def test_one_is_recognised(conftest, top):
    config = types.SimpleNamespace(allowed_skips={"tests/host/test_a.py::test_b[c]", "tests/host/test_d.py"})

    def may_skip(file, rest):
        return conftest.may_skip(types.SimpleNamespace(nodeid=f"{top}host/{file}{rest}", fspath=SOURCE / "tests/host" / file, config=config))
    assert may_skip("test_a.py", "::test_b[c]") and may_skip("test_d.py", "")
    assert not may_skip("test_a.py", "::test_b[d]") and not may_skip("test_a.py", "") and not may_skip("test_d.py", "::test_b")
