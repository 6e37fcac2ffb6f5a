"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest

import pytest

from osteoscope.densitometry import corrections, trabecular


@pytest.mark.parametrize("module", [corrections, trabecular])
def test_examples_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
