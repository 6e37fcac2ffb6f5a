"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from osteoscope.evaluation import delong, proportion
from osteoscope.evaluation.compare import mcnemar_p


@pytest.mark.parametrize("module", [delong, proportion])
def test_examples_run(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_the_example_of_mcnemar_runs() -> None:
    """The module is hidden behind the function of its name."""
    assert round(mcnemar_p(1, 9), 6) == 0.021484
