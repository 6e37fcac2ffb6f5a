"""A module of another class over the same parameters."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def adopt(counterpart: type[M], module: nn.Module) -> M:
    """An instance of ``counterpart`` that holds what ``module`` holds.

    Parameters, buffers, children, hooks and settings are the module's own, under their names:
    only the computation (the methods) is the counterpart's. Its ``__init__`` does not run, so a
    counterpart states in its docstring which attributes it reads. The children can be replaced in
    the one without changing the other.
    """
    made = counterpart.__new__(counterpart)
    made.__dict__.update(module.__dict__)
    for table in ("_parameters", "_buffers", "_modules"):
        made.__dict__[table] = dict(module.__dict__[table])
    return made
