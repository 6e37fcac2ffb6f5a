"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from osteoscope.core import box, registry, robust


@pytest.mark.parametrize("module", [box, registry, robust])
def test_examples_run(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
