"""What the shell is told: the four ways in which a command ends."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
"""Everything that was asked for is done."""

SOME_FAILED: Final = 1
"""Some items failed; the rest is done and the table says which. Also an internal error."""

WRONG_USE: Final = 2
"""The command or its one input cannot be used as given; nothing was written."""

INTERRUPTED: Final = 130
"""Stopped from the keyboard; started again, it goes on where it was."""
