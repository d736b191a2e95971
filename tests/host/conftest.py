# SPDX-License-Identifier: MIT
import contextlib

import pytest

from slicertest.netspace import World


@pytest.fixture
def world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path)
