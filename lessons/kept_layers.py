"""A student's own layers, kept from lesson to lesson in one file.

`keep_functions` takes functions out of a notebook: their source, the helpers they call, the constants they read and the
imports they need, all the way down, so that the file stands on its own. It has a section for each exercise. `my` gives
one layer back, `my_ops` a set of functions to build the real networks from, and `my_gan` a GAN that trains with all of
them; minigan's own functions stand in for what is missing or wrong.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import linecache
import os
import re
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from minigan.check.calls.bounded_prints import bounded_prints
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import PASSED, Outcome
from minigan.check.sandbox.older_files import with_present_imports
from minigan.check.sandbox.own_functions import (
    STEPS,
    OwnFunctions,
    check_functions,
    load_functions,
    named,
    read_file,
)
from minigan.gan import step as gan
from minigan.gan.step import GAN
from minigan.nn.ops import LIBRARY, Ops
from minigan.nn.ops.table import NAMES, family
from minigan.system.atomic_files import write_text
from minigan.system.errors import UserError
from minigan.system.file_kinds import kind_of
from minigan.system.wording import see

HEAD = '''\
"""My layers, kept from the lessons of minigan.

    python -m minigan.check my_layers.py

checks them all. `notebook.keep` writes a section for each exercise and leaves the others alone.
"""
'''


ELSEWHERE = (
    "to keep it elsewhere, name a file of your own: import os; os.environ['MINIGAN_LESSONS_LAYERS'] = '~/my_layers.py'"
)
"""What to do where the lessons' folder is read-only or its disk is full."""


class NotKeptError(Exception):
    """Why a function cannot be taken out of its notebook."""


def layers_file() -> Path:
    """Where layers are kept: ``lessons/my_layers.py``, or where MINIGAN_LESSONS_LAYERS says."""
    named = os.environ.get("MINIGAN_LESSONS_LAYERS")
    return Path(os.path.expanduser(named)) if named else Path(__file__).with_name("my_layers.py")  # noqa: PTH111 (no HOME)


# ----------------------------------------------------------------------------------------------------------------- take
@dataclass
class _Section:
    """What one exercise brings into the file."""

    imports: dict[str, str] = field(default_factory=dict)  # name to statement
    constants: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)  # functions and classes, helpers first
    may_use_lessons: bool = False  # the file is read where the lessons are


def keep_functions(exercise: str, functions: Sequence[Callable[..., Any]]) -> tuple[str, str]:
    """Write functions that passed their check into the file of kept layers.

    Parameters
    ----------
    exercise : str
        A key of `minigan.check.exercise_table.EXERCISES`.
    functions : sequence of callable
        In the exercise's order.

    Returns
    -------
    problem, path : str
        Why they were not kept, or ""; and the file.
    """
    path = layers_file()
    names = EXERCISES[exercise].functions
    try:
        before = _read(path) if path.exists() else HEAD
        section = _Section()
        entries = [_collect(function, section) for function in functions]
        aliases = {name: entry for name, entry in zip(names, entries, strict=True) if name != entry}
        others = _without(before, exercise)
        _make_room(section, others, keep=names)
        text = _joined(others, exercise, section, aliases)
        _must_work(exercise, text, path)
    except NotKeptError as error:
        return str(error), str(path)
    except OSError as error:
        return f"cannot read {path}: {error.strerror or error}{see('kept-layers')}", str(path)
    try:
        write_text(path, text)
    except OSError as error:
        return f"cannot write {path}: {error.strerror or error}; {ELSEWHERE}{see('kept-layers')}", str(path)
    return "", str(path)


def _collect(thing: Any, section: _Section) -> str:
    """Add a function or class and all it needs to a section, and return its name."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    name = getattr(thing, "__name__", "")
    if not isinstance(thing, FunctionType | type):
        raise NotKeptError(f"{name or type(thing).__name__} is no function written with def")
    if name == "<lambda>":
        raise NotKeptError("a lambda has no name of its own: write the function with def")
    if "<locals>" in thing.__qualname__:
        raise NotKeptError(f"{name} is defined inside another function: define it in a cell of its own")
    if name in section.sources:
        return name
    try:
        source = textwrap.dedent(inspect.getsource(thing) if isinstance(thing, FunctionType) else _class_source(thing))
    except (OSError, TypeError):
        raise NotKeptError(f"the source of {name} cannot be found: run its cell again") from None
    section.sources[name] = ""  # a function may call itself
    surroundings = thing.__globals__ if isinstance(thing, FunctionType) else _globals_of(thing)
    for used in _free_names(source):
        if used in surroundings and used != name:
            _add(used, surroundings[used], thing.__module__, section, by=name)
    del section.sources[name]
    section.sources[name] = source.rstrip() + "\n"
    return str(name)


def _class_source(owner: type) -> str:
    """The source of a class. For a class that a notebook defines, its cells are searched, the latest first."""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(owner)
    for entry in reversed(list(linecache.cache.values())):
        if len(entry) != 4 or entry[1] is not None:  # a file
            continue
        with contextlib.suppress(SyntaxError):
            for node in ast.parse("".join(entry[2])).body:
                if isinstance(node, ast.ClassDef) and node.name == owner.__name__:
                    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    return "".join(entry[2][first - 1 : node.end_lineno])
    raise OSError


def _globals_of(owner: type) -> dict[str, Any]:
    return vars(sys.modules[owner.__module__])


def _add(name: str, value: Any, home: str, section: _Section, *, by: str) -> None:
    """One global name that a function uses."""
    if isinstance(value, ModuleType):
        top = value.__name__
        _no_lesson(top, name, by, section)
        plain = name == top
        section.imports[name] = f"import {top}" if plain else f"import {top} as {name}"
    elif isinstance(value, FunctionType | type) and value.__module__ == home:
        entry = _collect(value, section)
        if entry != name:
            section.constants[name] = entry
    elif _is_constant(value):
        section.constants[name] = repr(value)
    elif callable(value) and getattr(value, "__module__", None) and getattr(value, "__name__", None):
        _no_lesson(value.__module__, name, by, section)
        module, called = value.__module__, value.__name__
        section.imports[name] = f"from {module} import {called}" + (f" as {name}" if called != name else "")
    else:
        raise NotKeptError(
            f"{by} uses {name}, a {type(value).__name__} of the notebook: pass it as an argument or make it inside"
        )


def _no_lesson(module: str, name: str, by: str, section: _Section) -> None:
    if module.split(".")[0] == "lessons" and not section.may_use_lessons:
        raise NotKeptError(f"{by} uses {name} of the lessons' own code: write it with NumPy alone")


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)


def _free_names(source: str) -> list[str]:
    """Names that a piece of source takes from outside: globals of its functions, defaults, decorators."""
    names: dict[str, None] = {}
    tables = [symtable.symtable(source, "notebook", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            outside = symbol.is_referenced() if table.get_type() == "module" else symbol.is_global()
            if outside and not hasattr(builtins, symbol.get_name()):
                names[symbol.get_name()] = None
    return list(names)


# ---------------------------------------------------------------------------------------------------------------- write
def _marks(exercise: str) -> tuple[str, str]:
    return f"# --- {exercise}: kept from the lessons", f"# --- end of {exercise}"


def _without(text: str, exercise: str) -> str:
    first, last = map(re.escape, _marks(exercise))
    return re.sub(rf"\n*^{first}\n.*?^{last}\n", "\n", text, flags=re.MULTILINE | re.DOTALL).rstrip("\n") + "\n"


def _make_room(section: _Section, others: str, keep: Iterable[str]) -> None:
    """Rename helpers that the rest of the file has under the same name, but written otherwise."""
    taken = _definitions(others)
    used = {*taken, *section.sources, *section.constants, *section.imports}
    new: dict[str, str] = {}
    for name, source in [*section.sources.items(), *section.constants.items(), *section.imports.items()]:
        if name in keep or name not in taken or taken[name] == _normal(source, name, section):
            continue
        number = next(k for k in range(2, 1000) if f"{name}_{k}" not in used)
        new[name] = f"{name}_{number}"
        used.add(new[name])
    if not new:
        return
    section.sources = {new.get(n, n): _renamed(s, new) for n, s in section.sources.items()}
    section.constants = {new.get(n, n): new.get(v, v) for n, v in section.constants.items()}
    section.imports = {new.get(n, n): _import_as(s, new.get(n, n)) for n, s in section.imports.items()}


def _normal(source: str, name: str, section: _Section) -> str:
    statement = f"{name} = {source}" if name in section.constants else source
    return ast.dump(ast.parse(statement).body[0])


def _definitions(text: str) -> dict[str, str]:
    """What a file defines at its top level: name to the statement, without layout and comments."""
    found: dict[str, str] = {}
    try:
        statements = ast.parse(text, layers_file().name).body
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        raise NotKeptError(f"{layers_file()} is not valid Python ({error}): mend it or delete it") from None
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.dump(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update({alias.asname or alias.name: ast.dump(node) for alias in node.names})
        elif isinstance(node, ast.Assign):
            found.update({t.id: ast.dump(node) for t in node.targets if isinstance(t, ast.Name)})
    return found


def _renamed(source: str, new: dict[str, str]) -> str:
    """A function's source with global names replaced; a local variable of such a name is replaced as well."""
    lines = [line.encode("utf-8") for line in source.splitlines(keepends=True)]
    places: list[tuple[int, int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in new:
            places.append((node.lineno - 1, node.col_offset, node.id))
        elif isinstance(node, ast.arg) and node.arg in new:
            raise NotKeptError(f"{node.arg} is a helper and an argument's name too: give one of them another name")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in new:
            row = node.lineno - 1
            column = lines[row].index(node.name.encode("utf-8"), node.col_offset + 4)
            places.append((row, column, node.name))
    for row, column, name in sorted(places, reverse=True):
        line = lines[row]
        lines[row] = line[:column] + new[name].encode("utf-8") + line[column + len(name.encode("utf-8")) :]
    return b"".join(lines).decode("utf-8")


def _import_as(statement: str, name: str) -> str:
    return statement if statement.split()[-1] == name else f"{statement.split(' as ')[0]} as {name}"


def text_of(functions: Sequence[Callable[..., Any]]) -> tuple[str, list[str]]:
    """Functions of a notebook with all that they need, as a text that stands on its own.

    Parameters
    ----------
    functions : sequence of callable
        Functions or classes. They may use the lessons' own code.

    Returns
    -------
    text : str
    names : list of str
        Of the functions, in that text.

    Raises
    ------
    NotKeptError
        If one cannot be taken out of its notebook.
    """
    section = _Section(may_use_lessons=True)
    names = [_collect(function, section) for function in functions]
    return _body(section, []), names


def _joined(others: str, exercise: str, section: _Section, aliases: dict[str, str]) -> str:
    first, last = _marks(exercise)
    text = _body(section, [first])
    if aliases:
        text += "\n\n\n" + "\n".join(f"{name} = {entry}" for name, entry in aliases.items())
    return f"{others}\n\n{text}\n{last}\n"


def _body(section: _Section, parts: list[str]) -> str:
    parts = [*parts, *section.imports.values()]
    parts += [f"{name} = {value}" for name, value in section.constants.items()]
    for source in section.sources.values():
        parts += ["", "", source.rstrip("\n")]
    return "\n".join(parts)


def _must_work(exercise: str, text: str, path: Path) -> None:
    """Raise NotKeptError unless the layer works from the text of the new file alone."""
    with bounded_prints():
        module = _module(text, path)
        functions = {name: vars(module).get(name) for name in EXERCISES[exercise].functions}
        outcome = run_exercise(exercise, functions)
    if outcome.status != PASSED:
        why = outcome.finding.title if outcome.finding else outcome.status
        raise NotKeptError(f"outside this notebook it does not work: {why}")


# ----------------------------------------------------------------------------------------------------------------- read
def _read(path: Path) -> str:
    """The text of the file of kept layers, the imports of an older one brought up to date."""
    content = path.read_bytes()
    if not content.strip():
        return HEAD
    kind = kind_of(content)
    try:
        text = with_present_imports(content).decode("utf-8-sig")  # some editors put a mark in front
    except UnicodeDecodeError:
        kind = kind or "not text in UTF-8"
    if kind:
        raise NotKeptError(f"{path} is {kind}; it must be Python in UTF-8{see('kept-layers')}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _module(text: str, path: Path) -> ModuleType:
    """Run the text of the file of kept layers."""
    module = ModuleType("my_layers")
    module.__file__ = str(path)
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:  # exit() would end the notebook's kernel
        said = f"{type(error).__name__}: {error}"
        raise NotKeptError(f"{path} cannot be imported ({said})") from error
    return module


_known: dict[tuple[str, str], tuple[OwnFunctions, dict[str, Outcome]]] = {}
"""What was found in a file, by its path and its SHA-256: a lesson asks more than once."""


def _kept() -> tuple[OwnFunctions, dict[str, Outcome]]:
    """The functions of the file of kept layers that pass their check, and why the others are not used.

    Each is checked anew, in a process of its own: somebody may have edited the file, or started it from a template.
    """
    path = layers_file()
    try:
        if not path.exists() or _read(path) == HEAD:
            return OwnFunctions(), {}
        key = str(path), read_file(path)[1]
        if key not in _known:
            checked = check_functions(path, tuple(EXERCISES))
            own = load_functions(path, checked.sha256, checked.used)
            _known[key] = own, {name: why for name, why in checked.not_used.items() if name in own.defined}
        return _known[key]
    except (NotKeptError, UserError, OSError) as error:
        raise UserError(f"{error}; mend the file, or delete it to go on with minigan's own layers") from None


def my(name: str) -> Any:
    """A kept layer, or minigan's own.

    Parameters
    ----------
    name : str
        A function, such as "conv2d_forward", or an exercise: "adam", "conv2d".

    Returns
    -------
    callable, or tuple of callable
        Forward and backward for an exercise that has both.

    Raises
    ------
    ValueError
        If there is no such function or exercise.
    UserError
        If the file of kept layers cannot be used.
    """
    known = {function for exercise in EXERCISES.values() for function in exercise.functions}
    if name in EXERCISES and name not in known:
        functions = tuple(my(function) for function in EXERCISES[name].functions)
        return functions if len(functions) > 1 else functions[0]
    if name not in known:
        raise ValueError(f"my: there is no function or exercise {name!r} (python -m minigan.check --list)")
    own, _ = _kept()
    if name not in own.functions:
        return _reference(name)
    return getattr(own.ops, name) if name in NAMES else own.functions[name]  # in the table, in minigan's layout


def _reference(name: str) -> Callable[..., Any]:
    """The function of this name that minigan has, with the exercise's arguments."""
    if name in NAMES:
        found: Callable[..., Any] = getattr(LIBRARY, name)
        return found
    if hasattr(gan, name):
        step = getattr(gan, name)
        return lambda *arguments: step(*arguments).loss
    exercise = next(e for e in EXERCISES.values() if name in e.functions)
    if len(exercise.results) == 1:
        return lambda *arguments, **settings: exercise.oracle(*arguments, **settings)[0]
    return exercise.oracle


def my_ops() -> Ops:
    """The functions to build networks from: a student's kept layers that pass their check, minigan's own for the rest.

    Returns
    -------
    Ops
        For ``generator(ops=...)`` and ``discriminator(ops=...)``, with the loss and Adam. Prints whose is whose.

    Raises
    ------
    UserError
        If the file of kept layers cannot be used.
    """
    own, not_used = _kept()
    _tell(own, not_used, OF_NETWORKS)
    return own.ops


def my_gan(**settings: Any) -> GAN:
    """A GAN that trains with all that a student has kept: layers, loss, Adam and both training steps.

    Parameters
    ----------
    **settings
        As `minigan.gan.step.build_gan`, but for ops.

    Returns
    -------
    GAN
        Prints whose is whose, as `my_ops`.

    Raises
    ------
    UserError
        If the file of kept layers cannot be used.
    """
    own, not_used = _kept()
    _tell(own, not_used, (*OF_NETWORKS, *STEPS))
    return own.taught(gan.build_gan(ops=own.ops, **settings))


OF_NETWORKS = tuple(name for name in EXERCISES if name in {family(entry) for entry in NAMES})
"""The exercises whose functions stand in a table of operations."""


def _tell(own: OwnFunctions, not_used: dict[str, Outcome], names: Iterable[str]) -> None:
    """Print which of these exercises are the student's, which are not used and why, and which are minigan's."""
    names = [name for name in EXERCISES if name in names]
    yours = [name for name in names if EXERCISES[name].functions[0] in own.functions]
    refused = {name: not_used[name] for name in names if name in not_used}
    if yours:
        print(f"yours: {', '.join(yours)}")
    if refused:
        print(f"not used: {named(refused)}")
    if rest := [name for name in names if name not in yours and name not in refused]:
        print(f"minigan's own: {', '.join(rest)}")
