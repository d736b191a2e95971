# SPDX-License-Identifier: MIT
import time


def until(condition, seconds=10.0, what=None, pause=0.01):
    """Returns the first true value of condition(); fails when it has none within the time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {seconds:g} s: {name} (last value: {value!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
