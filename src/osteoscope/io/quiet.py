"""Reading without leaks: third-party readers may quote header values in warnings and logs."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from osteoscope.io.simple_itk import sitk

_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg", "jpeg_ls")


class _Silence:
    """Counts its users, so that reads in several threads switch it on and off once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._pydicom = False
        self._undo = ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo = ExitStack()
                self._pydicom = False
                self._silence_all()
            # pydicom takes 50 MB: where no DICOM file is read it stays unloaded.
            if "pydicom" in sys.modules and not self._pydicom:
                from pydicom.config import disable_value_validation

                self._undo.enter_context(disable_value_validation())
                self._pydicom = True

    def _silence_all(self) -> None:
        self._undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        shown = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        self._undo.callback(sitk.ProcessObject.SetGlobalWarningDisplay, shown)
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._undo.callback(setattr, logger, "disabled", logger.disabled)
            logger.disabled = True

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._undo.close()


_SILENCE = _Silence()


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Within it, the format libraries neither warn nor log.

    pydicom quotes the offending value, which may be a patient's name or a date, when a header
    breaks the standard. What matters to the caller is checked by osteoscope's own rules and said
    in its own words.
    """
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()


_NATIVE_LOCK = threading.RLock()


@contextmanager
def quiet_native() -> Iterator[None]:
    """Within it, nothing reaches the process's standard error, from native code above all.

    NIfTI's and MetaImage's libraries print on their own what is wrong with a header. Python
    threads that write there meanwhile are not heard either, so keep the block short.
    """
    with _NATIVE_LOCK:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, ValueError):  # closed: nothing can be heard
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
