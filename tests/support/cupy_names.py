"""The names that CuPy has, so that the device double has no others; and the names that minigan uses.

This file writes cupy_names.json. It is run by hand where CuPy is installed with all of CUDA (no GPU needed):
``python tests/support/cupy_names.py``. For a plain function the file lists its parameters, for a ufunc the word
"ufunc", for `cupy.cuda`, its modules and for classes only the names.
"""

import ast
import contextlib
import inspect
import json
from pathlib import Path

FILE = Path(__file__).with_name("cupy_names.json")
MODULES = ["compiler", "cublas", "driver", "memory", "nvrtc", "runtime"]
CLASSES = ["Device", "Event", "Graph", "Memory", "MemoryPointer", "MemoryPool", "Stream"]


def collect():
    import cupy
    from cupy._core._kernel import ufunc

    def parameters(function):
        if isinstance(function, ufunc):
            return "ufunc"
        try:
            return list(inspect.signature(function).parameters)
        except (ValueError, TypeError):
            return None

    def functions(module):
        public = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
        return {name: parameters(f) for name, f in public.items() if callable(f) and not inspect.isclass(f)}

    def names(thing):
        return sorted(name for name in dir(thing) if not name.startswith("_"))

    modules = {}
    for name in MODULES:
        with contextlib.suppress(ImportError):  # a library of CUDA that is not installed
            modules[f"cuda.{name}"] = names(getattr(cupy.cuda, name))
    return {
        "version": cupy.__version__,
        "functions": functions(cupy),
        "lib.stride_tricks": functions(cupy.lib.stride_tricks),
        "ndarray": sorted(dir(cupy.ndarray)),
        "cuda": names(cupy.cuda),
        **modules,
        "classes": {
            name: names(getattr(module, name))
            for module, listed in ((cupy, ["RawModule"]), (cupy.cuda, CLASSES))
            for name in listed
        },
    }


def names_used_by_minigan():
    """Dotted names that minigan takes from CuPy, the checker of exercises excepted."""
    import minigan

    package = Path(minigan.__file__).parent
    paths = [path for path in package.rglob("*.py") if "check" not in path.relative_to(package).parts]
    return set().union(*map(names_used, paths))


def names_used(path):
    """Dotted names that a file takes from CuPy: all that follows ``xp.``, ``cupy.`` or a name ending in ``.xp.``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        chain = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            chain.insert(0, node.id)
        for root in ("xp", "_xp", "cupy"):
            if root in chain[:-1]:
                found.add(".".join(chain[chain.index(root) + 1 :]))
    return found


MODULES_AND_TYPES = ("cuda", "lib", "lib.stride_tricks", "ndarray", "float32", "uint8", "__version__")


def is_name(name, known):
    """Whether a dotted name is among those that `collect` has found."""
    if name in MODULES_AND_TYPES:
        return True
    module, _, rest = name.partition(".")
    if module == "cuda" and rest:
        first, _, member = rest.partition(".")
        if f"cuda.{first}" in known:
            return not member or member in known[f"cuda.{first}"]
        return first in known["cuda"] and (not member or member in known["classes"][first])
    if name.startswith("lib.stride_tricks."):
        return name.removeprefix("lib.stride_tricks.") in known["lib.stride_tricks"]
    return name in known["functions"] or name in known["classes"]


if __name__ == "__main__":
    FILE.write_text(json.dumps(collect(), indent=0) + "\n")
