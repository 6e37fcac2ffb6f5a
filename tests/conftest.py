"""What every test of this project starts from."""

from __future__ import annotations

import signal

# A shell starts what it puts into the background with interrupts ignored, and a process hands that
# on to all it starts: the tests that interrupt a run would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
