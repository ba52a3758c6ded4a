"""Write cupy_names.json: the names that CuPy has, so that the device double has no others.

Run by hand where CuPy is installed (no GPU needed): ``python tests/support/cupy_names.py``. For a plain function
the file lists its parameters, for a ufunc the word "ufunc", for `cupy.cuda` and for classes only the names.
"""

import inspect
import json
from pathlib import Path

FILE = Path(__file__).with_name("cupy_names.json")


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

    return {
        "version": cupy.__version__,
        "functions": functions(cupy),
        "lib.stride_tricks": functions(cupy.lib.stride_tricks),
        "ndarray": sorted(dir(cupy.ndarray)),
        "cuda": names(cupy.cuda),
        "cuda.runtime": names(cupy.cuda.runtime),
        "classes": {
            name: names(getattr(module, name))
            for module, listed in ((cupy, ["RawModule"]), (cupy.cuda, ["Device", "Graph", "MemoryPool", "Stream"]))
            for name in listed
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(collect(), indent=0) + "\n")
