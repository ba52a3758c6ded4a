"""The array backend: the one place that knows whether arrays live in main memory (NumPy) or on a GPU (CuPy).

NumPy and CuPy have the same functions under the same names. So every function that computes is written once, for a
module called `xp`: `xp = xp_of(x)` asks an array where it lives, and the rest of the function uses `xp.exp`,
`xp.empty` and so on. There is no global switch; the arrays decide. Data come in from the host through
`Backend.asarray` and go back through `Backend.to_host`, and nowhere else, so that a reader can see every transfer.

>>> import numpy as np
>>> xp_of(np.zeros(3)) is np
True
>>> get_backend("numpy").name
'numpy'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigan.system.errors import UserError

Array: TypeAlias = npt.NDArray[Any]
"""An array of either backend. A CuPy array is not a NumPy array, but behaves like one; the name is for the reader."""

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Backend:
    """Where arrays live and how they get there.

    Parameters
    ----------
    name : str
        "numpy" or "cupy".
    xp : module
        The array module, `numpy` or `cupy`.
    array_type : type
        The module's array class; `xp_of` recognises arrays by it.
    asarray : callable
        Host array to this backend: ``asarray(a, dtype=None)``.
    to_host : callable
        This backend's array to a NumPy array. On a GPU it waits for everything queued before it.
    synchronize : callable
        Wait until all queued work is done (nothing to do on NumPy).
    device_name : str
        Name of the device for people; it goes into config.json.
    read_every : int
        How many steps lie between two readings of the losses. A reading makes a GPU wait, so there it is rare.
    tf32 : bool
        Whether float32 matrix products may round their factors to 10 bits, which recent GPUs do several times faster.
    record : callable, optional
        Makes a function of arrays faster to repeat, by recording its work the second time: ``record(function, ...)``.
    versions : dict of str to str
        Of the libraries that it computes with, besides NumPy; for config.json.
    """

    name: str
    xp: ModuleType
    array_type: type
    asarray: Callable[..., Array]
    to_host: Callable[[Array], Array]
    synchronize: Callable[[], None]
    device_name: str
    read_every: int
    tf32: bool = False
    record: Callable[..., Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)


NUMPY = Backend(
    name="numpy",
    xp=np,
    array_type=np.ndarray,
    asarray=np.asarray,
    to_host=np.asarray,
    synchronize=lambda: None,
    device_name="CPU",
    read_every=1,
)

_known: dict[str, Backend] = {"numpy": NUMPY}
_loaders: dict[str, Callable[[], Backend]] = {}


def register_loader(name: str, load: Callable[[], Backend]) -> None:
    """Set the function that makes a backend; it is called when the backend is first asked for."""
    _loaders[name] = load


def backend_names() -> tuple[str, ...]:
    """All that `get_backend` can be asked for, whether or not this machine can run them.

    >>> {"numpy", "cupy"} <= set(backend_names())
    True
    """
    return tuple({**_known, **_loaders})


def register(backend: Backend) -> None:
    """Make a backend known to `xp_of` and `get_backend`.

    Parameters
    ----------
    backend : Backend
        Replaces an earlier one of the same name.
    """
    _known[backend.name] = backend


def get_backend(name: str, *, tf32: bool | None = None) -> Backend:
    """The backend of a name, which is loaded when it is first asked for.

    Parameters
    ----------
    name : str
        "numpy" or "cupy".
    tf32 : bool, optional
        Whether its matrix products may use tf32 from now on, for all its arrays. None leaves this as it is; at first
        it is False.

    Returns
    -------
    Backend

    Raises
    ------
    UserError
        If the name is unknown, or the backend cannot be used here (the message says what to install); also if tf32 is
        asked of NumPy.
    """
    if name not in backend_names():
        raise UserError(f"--backend: must be one of {', '.join(backend_names())}, got {name!r}")
    if tf32 and name == "numpy":
        raise UserError("--tf32: needs --backend cupy, got numpy")
    if name not in _known:
        register(_loaders[name]())
    if tf32 is not None and tf32 != _known[name].tf32:
        register(replace(_known[name], tf32=tf32))
    return _known[name]


def backend_of(*arrays: object) -> Backend:
    """The backend that all arrays belong to; arguments that are no arrays (numbers, None) are ignored.

    Parameters
    ----------
    *arrays : Array
        At least one array.

    Returns
    -------
    Backend

    Raises
    ------
    TypeError
        If there is no array among them, or arrays of two backends are mixed.
    """
    found: Backend | None = None
    for position, array in enumerate(arrays):
        for backend in reversed(_known.values()):  # the latest first: its arrays may be a kind of NumPy's
            if isinstance(array, backend.array_type):
                if found is not None and backend is not found:
                    raise TypeError(
                        f"argument {position} is a {backend.name} array but an earlier one is a {found.name} array; "
                        f"move one of them with get_backend({backend.name!r}).to_host(a) or .asarray(a)"
                    )
                found = backend
                break
    if found is None:
        kinds = ", ".join(type(a).__name__ for a in arrays) or "nothing"
        raise TypeError(f"expected an array of one of the backends {', '.join(_known)}, got {kinds}")
    return found


def xp_of(*arrays: object) -> Any:
    """The array module (`numpy` or `cupy`) that all arrays belong to.

    Raises
    ------
    TypeError
        As `backend_of`.
    """
    return backend_of(*arrays).xp
