"""A clock for the statements of minigan that do arithmetic: where the time goes, for `time_profile`.

Every function of some modules is compiled once more, with a look at the clock before and after each statement that
computes with arrays. Inside a ``with`` block the functions run this code. What these statements do not take is Python:
the calls, the loops and the slices between them.
"""

from __future__ import annotations

import ast
import contextlib
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from measured_programs import seconds_of

import minigan
from minigan.fast import joined_norm
from minigan.fast.cpu import chunked, cpu_overlay, fused, small_products, winograd
from minigan.nn import losses, share
from minigan.nn.ops import activations, conv_pairs, dense, normalization, register_overlay, translation, updates
from minigan.ranks import adam, batch_share, local

PACKAGE = Path(minigan.__file__).parent
MODULES = (
    *(winograd, small_products, chunked, fused, cpu_overlay),
    *(activations, conv_pairs, dense, normalization, translation, updates, losses, adam),
)
"""Whose statements are timed."""

PRODUCTS, TILES, KERNELS, IM2COL, NORM = "products", "tiles", "kernels", "im2col", "normalization"
ADAM, REST, WAITING, PYTHON = "adam", "rest", "waiting", "python"
GROUPS = {
    PRODUCTS: "Winograd: products",
    TILES: "Winograd: tiles of images",
    KERNELS: "Winograd: tiles of kernels",
    IM2COL: "convolution by im2col",
    NORM: "batch normalization, LeakyReLU",
    ADAM: "Adam",
    REST: "dense, tanh, loss, bias gradients",
    WAITING: "waiting for the other ranks",
    PYTHON: "Python between the calls",
}
"""What a statement may belong to: key and title."""

WHOLE = (
    (local.Local, "meet", WAITING),
    (share.Share, "prepared", KERNELS),
    (batch_share.BatchShare, "prepared", KERNELS),
)
"""Methods that belong to a group as a whole."""

WALKS = {"forward": 3, "backward": 7, "inference": 2}
"""How often batch normalization reads or writes an array of its input's size (`minigan.fast.cpu.fused`)."""

Key = tuple[str, str]
"""A group, and the layer that the statement worked for."""


class _Code(NamedTuple):
    function: FunctionType
    usual: CodeType
    timed: CodeType


class LineClock:
    """Seconds of statements by group and layer, and what they do in that time.

    Attributes
    ----------
    looks : int
        How many statements were timed.
    flops : Counter of Key
        Operations of matrix products, counted inside of `counting`.
    moved : Counter of Key
        Bytes that batch normalization must read and write, counted there as well.
    """

    def __init__(self) -> None:
        self.looks = 0
        self.flops: Counter[Key] = Counter()
        self.moved: Counter[Key] = Counter()
        self._counting = False
        self._of_threads: list[Counter[Key]] = []
        self._thread = threading.local()
        self._codes = [code for module in MODULES for code in _codes(module)]

    def seconds(self) -> Counter[Key]:
        """Seconds so far, of all threads together; those of a statement inside of another count for the inner one."""
        return sum(self._of_threads, Counter())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside a ``with`` block, statements are timed."""
        with contextlib.ExitStack() as stack:
            for module in MODULES:
                stack.enter_context(mock.patch.multiple(module, create=True, _begin=self._begin, _end=self._end))
            for owner, name, group in WHOLE:
                stack.enter_context(mock.patch.object(owner, name, self._timing(getattr(owner, name), group)))
            stack.callback(self._set_codes, "usual")
            self._set_codes("timed")
            yield

    def _set_codes(self, which: str) -> None:
        for code in self._codes:
            code.function.__code__ = getattr(code, which)

    def _timing(self, function: Callable[..., Any], group: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._begin(group)
            try:
                return function(*arguments, **options)
            finally:
                self._end()

        return timed

    def _here(self) -> Any:
        """What is kept for each thread."""
        if not hasattr(self._thread, "open"):
            self._thread.open, self._thread.layer, self._thread.seconds = [], "", Counter()
            self._of_threads.append(self._thread.seconds)
        return self._thread

    def _begin(self, group: str) -> None:
        """A statement begins; the clock of the one around it, if there is one, stands still."""
        now, here = time.perf_counter(), self._here()
        if here.open:
            key, since = here.open[-1]
            here.seconds[key] += now - since
        here.open.append(((group, here.layer), time.perf_counter()))

    def _end(self) -> None:
        now, here = time.perf_counter(), self._thread
        key, since = here.open.pop()
        here.seconds[key] += now - since
        self.looks += 1
        if here.open:
            here.open[-1] = here.open[-1][0], time.perf_counter()

    # ---- layers ----

    @contextlib.contextmanager
    def naming_layers(self) -> Iterator[None]:
        """Inside a ``with`` block, what a layer computes has the layer's name."""
        register_overlay("numpy", self._overlay)
        try:
            yield
        finally:
            register_overlay("numpy", cpu_overlay.overlay)

    def _overlay(self, *arguments: Any, **options: Any) -> Mapping[str, Callable[..., Any]]:
        found = dict(cpu_overlay.overlay(*arguments, **options))
        for name in ("conv2d", "conv2d_transpose"):
            found[f"{name}_forward"] = self._naming(found[f"{name}_forward"], _forward_name)
            found[f"{name}_backward"] = self._naming(found[f"{name}_backward"], _backward_name)
        kernels = {
            f"batch_norm_{way}": self._norm(getattr(fused, f"batch_norm_{way}"), way, walks)
            for way, walks in WALKS.items()
        }
        return {**found, "steps": partial(joined_norm.join, kernels=SimpleNamespace(**kernels))}

    def _naming(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        @wraps(function)
        def named(*arguments: Any, **options: Any) -> Any:
            here = self._here()
            before, here.layer = here.layer, name(*arguments, **options)
            try:
                return function(*arguments, **options)
            finally:
                here.layer = before

        return named

    def _norm(self, function: Callable[..., Any], way: str, walks: int) -> Callable[..., Any]:
        def name(x: Any, *_: Any, **__: Any) -> str:
            layer = f"{way}: {_sizes(x)}"
            if self._counting:
                self.moved[NORM, layer] += walks * x.nbytes
            return layer

        return self._naming(function, name)

    # ---- operations ----

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count operations and bytes, too. This takes time, so it is done in a repetition of its own."""
        product = np.matmul

        def counted(a: Any, b: Any, *arguments: Any, **options: Any) -> Any:
            result = product(a, b, *arguments, **options)
            here = self._here()
            if here.open:
                self.flops[here.open[-1][0]] += 2 * result.size * a.shape[-1]
            return result

        with mock.patch.object(np, "matmul", counted), mock.patch.object(self, "_counting", True):
            yield


def _sizes(x: np.ndarray) -> str:
    return " x ".join(map(str, x.shape[1:]))


def _forward_name(x: Any, w: Any, *_: Any, **__: Any) -> str:
    return f"forward: {_sizes(x)}, kernel {len(w)} x {len(w)}"


def _backward_name(_: Any, cache: Any, *, input_grad: bool = True, param_grads: bool = True) -> str:
    what = "both gradients" if input_grad and param_grads else "input gradient" if input_grad else "weight gradient"
    return f"{what}: {_sizes(cache.x)}, kernel {len(cache.w)} x {len(cache.w)}"


def profile(work: Callable[[], Any], count: int) -> dict[str, Any]:
    """Do something `count` times as usual and `count` times with the clock, in turn, and once more to count operations.

    Returns
    -------
    dict
        "seconds" as usual (median), "with_clock" (median), "looks" at the clock each time, and "rows": "group",
        "layer", "seconds" of one time, "flops" and "moved" (bytes) where they were counted.
    """
    clock, usual, with_clock = LineClock(), [], []
    with clock.naming_layers():
        work()
        for _ in range(count):
            usual.append(seconds_of(work))
            with clock.running():
                with_clock.append(seconds_of(work))
        seconds, looks = clock.seconds(), clock.looks / count
        with clock.running(), clock.counting():
            work()
    rows = [
        {
            "group": group,
            "layer": layer,
            "seconds": value / count,
            "flops": clock.flops[group, layer],
            "moved": clock.moved[group, layer],
        }
        for (group, layer), value in seconds.items()
    ]
    return {
        "seconds": statistics.median(usual),
        "with_clock": statistics.median(with_clock),
        "looks": looks,
        "rows": sorted(rows, key=lambda row: -row["seconds"]),
    }


# ---- the code with a clock in it ----


def _codes(module: ModuleType) -> list[_Code]:
    """Every function of a module and of its classes, with its code as usual and with the clock."""
    path = Path(str(module.__file__))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    _Timing(path.relative_to(PACKAGE).as_posix()).visit(tree)
    compiled = compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)
    found = []
    for owner, code in _inside(compiled, module):
        function = vars(owner).get(code.co_name)
        function = getattr(function, "__func__", function)
        if isinstance(function, FunctionType) and function.__code__.co_firstlineno == code.co_firstlineno:
            found.append(_Code(function, function.__code__, code))
    return found


def _inside(code: CodeType, owner: Any) -> Iterator[tuple[Any, CodeType]]:
    """The code of all functions in a module's or a class's code, with what they are attributes of."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = vars(owner).get(constant.co_name)
            if isinstance(inner, type):
                yield from _inside(constant, inner)
            else:
                yield owner, constant


class _Timing(ast.NodeTransformer):
    """Puts ``_begin(group)`` and ``_end()`` around the statements that compute with arrays."""

    def __init__(self, path: str) -> None:
        self._path, self._function = path, ""

    def visit(self, node: ast.AST) -> Any:
        """See `ast.NodeVisitor`."""
        if isinstance(node, ast.FunctionDef):
            before, self._function = self._function, node.name
            self.generic_visit(node)
            self._function = before
            return node
        inside = self._function not in ("", "_along")  # that one is timed where it is called
        if inside and isinstance(node, ast.stmt) and not hasattr(node, "body") and computes(node):
            return self._timed(node)
        return self.generic_visit(node)

    def _timed(self, node: ast.stmt) -> list[ast.stmt]:
        group = group_of(self._path, self._function, ast.unparse(node))
        begin, end = (ast.parse(text).body[0] for text in (f"_begin({group!r})", "_end()"))
        if not isinstance(node, ast.Return):
            return [begin, node, end]
        assert node.value is not None
        result = ast.Assign([ast.Name("_result", ast.Store())], node.value)
        statements = [begin, result, end, ast.Return(ast.Name("_result", ast.Load()))]
        return [ast.copy_location(statement, node) for statement in statements]


def group_of(path: str, function: str, statement: str) -> str:
    """The group of a statement that computes: by the file and the function that it stands in.

    Parameters
    ----------
    path : str
        Of the file in the package.
    function, statement : str
    """
    if path == "fast/cpu/small_products.py":
        return PRODUCTS
    if path == "fast/cpu/winograd.py":
        if function in ("transform", "_contiguous"):
            return KERNELS
        return PRODUCTS if "dU = np.matmul" in statement else KERNELS if function == "_add_weight_grad" else TILES
    if path == "fast/cpu/chunked.py" or function == "add_to_channels":
        return IM2COL
    if path == "fast/cpu/fused.py" and function != "channel_sum":
        return NORM
    return ADAM if path in ("ranks/adam.py", "nn/ops/updates.py") else REST


WITHOUT_ARITHMETIC = {"empty", "errstate", "dtype", "ndarray", "ndindex", "ascontiguousarray"}
"""NumPy's functions that only reserve memory or look at it."""

WITH_ARITHMETIC = {"sum", "copy", "fill", "mean", "astype"}
"""Methods of an array that compute."""


def computes(statement: ast.stmt) -> bool:
    """Whether a statement computes with arrays, or copies them.

    >>> [computes(ast.parse(text).body[0]) for text in ("y[i] = x", "y = np.matmul(a, b)", "n = plan.n", "y = x @ w")]
    [True, True, False, True]
    """
    if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Subscript) for target in statement.targets):
        return True
    if isinstance(statement, ast.AugAssign) and not isinstance(statement.target, ast.Attribute):
        return True
    for node in ast.walk(statement):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return True
        if isinstance(node, ast.Call):
            owner, _, name = ast.unparse(node.func).rpartition(".")
            if name == "_along" or (owner in ("np", "xp") and name not in WITHOUT_ARITHMETIC):
                return True
            if owner and name in WITH_ARITHMETIC:
                return True
    return False
