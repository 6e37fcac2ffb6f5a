"""Reading whether a module's own computation names the axes of space.

A block that only hands tensors to its children, adds and multiplies them, or joins them along the
channels computes the same in two and three dimensions, once its children are three-dimensional.
One that names axes (``mean((2, 3))``), unpacks a shape, reshapes or calls a 2D function does not.
Which of the two a block is stands in its source, so it is read there: everything that is not known
to be harmless is refused, so that a network of a new family either converts or says where it
does not.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from timm.layers.drop import drop_path
from timm.models._manipulate import checkpoint, checkpoint_seq
from torch import Tensor, nn
from torch.utils import checkpoint as torch_checkpoint

ELEMENTWISE_METHODS = frozenset(
    """
    abs add add_ mul mul_ div div_ sub sub_ neg relu relu_ sigmoid sigmoid_ tanh exp clamp float
    half to type type_as contiguous clone detach
    """.split()  # noqa: SIM905 - one name a line would hide what they have in common
)
"""Methods of a tensor that treat every voxel alike."""

CONTAINER_METHODS = frozenset(
    """
    append extend items values keys children modules get pop
    """.split()  # noqa: SIM905 - one name a line would hide what they have in common
)
"""Methods of lists, dictionaries and modules, which hold no axes."""

FUNCTIONS = frozenset(
    """
    torch.jit.is_scripting torch.jit.is_tracing torch.jit.annotate torch.add torch.mul
    torch.sigmoid torch.relu torch.tanh F.dropout F.relu F.relu6 F.gelu F.silu F.hardtanh
    F.sigmoid F.tanh F.hardsigmoid F.hardswish F.leaky_relu F.softplus F.mish
    torch.utils.checkpoint.checkpoint cp.checkpoint
    """.split()  # noqa: SIM905 - one name a line would hide what they have in common
)
"""Functions, as timm writes them, that treat every voxel alike or no voxel at all."""

CHANNEL_FUNCTIONS = {"torch.cat": 1, "torch.split": 2, "torch.chunk": 2}
"""Functions that take an axis, with its place among the arguments: harmless along axis 1."""

CHANNEL_METHODS = {"flatten": 0, "split": 1, "chunk": 1}
"""The same for methods of a tensor."""

PLAIN_BUILTINS: tuple[Any, ...] = (
    len,
    zip,
    enumerate,
    range,
    isinstance,
    hasattr,
    getattr,
    list,
    tuple,
    dict,
    reversed,
    float,
    int,
    bool,
    any,
    all,
    min,
    max,
    print,
    Exception,
    AssertionError,
)
KNOWN_GLOBALS: tuple[Any, ...] = (
    checkpoint,
    checkpoint_seq,
    drop_path,
    torch_checkpoint.checkpoint,
)
SHAPES = frozenset(
    """
    shape ndim T mT H W
    """.split()  # noqa: SIM905 - one name a line would hide what they have in common
)


def what_names_axes(module: nn.Module) -> str | None:
    """Why the module's own computation may not carry over to three dimensions.

    Reads ``forward`` (for a whole network also ``forward_features`` and ``forward_head``) and
    every method of the class that these call. The children are not looked at: each is converted
    or read by itself.

    Args:
        module: Any module.

    Returns:
        What was met, in words; None where nothing was.
    """
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if isinstance(tensor, Tensor) and tensor.numel() > 1:
            return f"its own tensor {name!r} of shape {tuple(tensor.shape)} may belong to axes"
    read: set[str] = set()
    waiting = [m for m in ("forward", "forward_features", "forward_head") if hasattr(module, m)]
    while waiting:
        name = waiting.pop()
        if name in read:
            continue
        read.add(name)
        method = getattr(type(module), name)
        if method is nn.Module.forward:  # a list or a dictionary of modules, never called itself
            continue
        found, called = _read_method(module, method)
        if found is not None:
            return found
        waiting += called
    return None


def _read_method(module: nn.Module, method: Callable[..., Any]) -> tuple[str | None, list[str]]:
    method = inspect.unwrap(method)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except (OSError, TypeError, SyntaxError):
        return "its source cannot be read", []
    reader = _Reader(module, getattr(method, "__globals__", {}))
    reader.read(tree)
    return reader.found, reader.called


class _Reader(ast.NodeVisitor):
    """Walks one method; ``found`` is the first thing that may name axes."""

    def __init__(self, module: nn.Module, names: dict[str, Any]) -> None:
        self.module = module
        self.names = names
        self.found: str | None = None
        self.called: list[str] = []
        self.local: set[str] = set()

    def read(self, tree: ast.Module) -> None:
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef):
            self.found = "its source is no plain method"
            return
        for node in ast.walk(function):
            if isinstance(node, ast.For | ast.comprehension):
                # What is iterated over is a module's children or a list of tensors or numbers.
                self.local |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
            elif isinstance(node, ast.FunctionDef) and node is not function:
                self.local.add(node.name)
        for statement in function.body:  # the annotations and decorators compute nothing
            self.visit(statement)

    def refuse(self, node: ast.AST) -> None:
        if self.found is None:
            self.found = f"it computes {ast.unparse(node)!r}"

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, _: ast.Raise) -> None:
        return  # nothing is computed after it

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in SHAPES:
            self.refuse(node)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.MatMult):
            self.refuse(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        index = node.slice
        if isinstance(index, ast.Tuple):
            beyond_channels = len(index.elts) > 2
            if beyond_channels or any(_is_new_or_all(part) for part in index.elts):
                self.refuse(node)
        elif _is_new_or_all(index):
            self.refuse(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if not self._harmless(node):
            self.refuse(node)
        for part in [*node.args, *(k.value for k in node.keywords)]:
            self.visit(part)
        if isinstance(node.func, ast.Attribute | ast.Subscript | ast.Call):
            self.visit(node.func.value if not isinstance(node.func, ast.Call) else node.func)

    def _harmless(self, node: ast.Call) -> bool:
        function = node.func
        if isinstance(function, ast.Name):
            return self._name_is_harmless(function.id)
        if isinstance(function, ast.Subscript):
            return _rooted_at_self(function)  # self.blocks[0](x): a child
        if not isinstance(function, ast.Attribute):
            return False
        if isinstance(function.value, ast.Name) and function.value.id == "self":
            return self._own_is_harmless(function.attr)
        dotted = ast.unparse(function)
        if dotted in FUNCTIONS:
            return True
        if dotted in CHANNEL_FUNCTIONS:
            return _along_channels(node, CHANNEL_FUNCTIONS[dotted])
        if function.attr in ELEMENTWISE_METHODS | CONTAINER_METHODS:
            return True
        if function.attr in CHANNEL_METHODS:
            return _along_channels(node, CHANNEL_METHODS[function.attr])
        return _rooted_at_self(function) and self._is_a_module(function)

    def _name_is_harmless(self, name: str) -> bool:
        if name in self.local:
            return True
        known = self.names.get(name, getattr(builtins, name, None))
        return any(known is good for good in (*PLAIN_BUILTINS, *KNOWN_GLOBALS))

    def _own_is_harmless(self, name: str) -> bool:
        """A child, or a method of the class, which is read in its turn."""
        if name in self.module._modules or name in CONTAINER_METHODS:
            return True
        method = inspect.getattr_static(type(self.module), name, None)
        if inspect.isfunction(method) and name not in self.module.__dict__:
            self.called.append(name)
            return True
        # Absent or None: the call is in a branch that this instance does not take, or fails.
        return getattr(self.module, name, None) is None

    def _is_a_module(self, function: ast.Attribute) -> bool:
        """``self.a.b(x)``: b is a child of a, or a itself is absent."""
        names: list[str] = []
        value: ast.expr = function
        while isinstance(value, ast.Attribute):
            names.append(value.attr)
            value = value.value
        target: Any = self.module
        for name in reversed(names):
            target = getattr(target, name, None)
        return target is None or isinstance(target, nn.Module)


def _rooted_at_self(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "self"


def _is_new_or_all(index: ast.expr) -> bool:
    """``None`` or ``...`` in an index, which add or skip axes."""
    return isinstance(index, ast.Constant) and index.value in (None, ...)


def _along_channels(call: ast.Call, place: int) -> bool:
    """The call names axis 1, alone."""
    named = {k.arg: k.value for k in call.keywords}
    axis = named.get("dim", named.get("start_dim"))
    if axis is None and len(call.args) > place:
        axis = call.args[place]
    beyond = len(call.args) > place + 1 or "end_dim" in named
    return isinstance(axis, ast.Constant) and axis.value == 1 and not beyond
