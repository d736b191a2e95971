# SPDX-License-Identifier: MIT
import time

# What a busy machine is given at least, whatever else is asked for: what comes sooner costs nothing. Less than the 30 s after which
# a daemon looks at what exists by itself, so that what has to be noticed before is.
PATIENCE = 25.0


def until(condition, seconds=PATIENCE, what=None, pause=0.01):
    """Returns the first true value of condition(); fails when it has none within the time, which is PATIENCE or more."""
    seconds = max(seconds, PATIENCE)
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
