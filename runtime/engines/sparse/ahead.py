"""Kernels kept as object code, which a process links without waking the compiler.

Numba's own cache brings a function back through the compiler's type registries: 0.6 s for the first
call of a process, however small the function. A kernel that takes and returns whole numbers alone,
addresses among them, needs nothing of it: its object code is kept beside Numba's cache, named after
all that it was made from, and linked in 15 ms.
"""

import hashlib
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import config
from numba.core.caching import (
    FunctionCache,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)

from retempo.runtime.engines.sparse import callable as callable_
from retempo.runtime.engines.sparse import compiling, views
from retempo.runtime.engines.sparse.callable import ENTRY, KERNEL, callable_at
from retempo.runtime.engines.sparse.compiling import machine_of, object_code
from retempo.runtime.engines.sparse.views import DATA_AT

_DIGEST = hashlib.sha256().digest_size

Call = Callable[..., int]
CONFIG: Any = config


class Ahead:
    """A kernel of whole numbers, `int64` each, compiled when it is first needed, or linked.

    `call(*arguments)` returns its result; the GIL is free meanwhile.
    """

    def __init__(self, kernel: Callable[..., int], sources: Sequence[ModuleType]) -> None:
        """`sources` are the modules of what the kernel calls: a change of any makes it anew.

        This one and what compiles are always among them.
        """
        self._kernel = kernel
        self._arguments: int = kernel.__code__.co_argcount
        self._sources = (*sources, sys.modules[__name__], callable_, compiling, views)
        self._lock = threading.Lock()
        self._linked: tuple[Call, int] | None = None

    @property
    def call(self) -> Call:
        """The kernel, linked."""
        return self._at_hand()[0]

    @property
    def address(self) -> int:
        """Where the kernel lies, for compiled code; see `runtime.pointers.call_entry`."""
        return self._at_hand()[1]

    def _at_hand(self) -> tuple[Call, int]:
        with self._lock:
            if self._linked is None:
                self._linked = self._link()
            return self._linked

    @property
    def folder(self) -> Path:
        """Where its object code is kept: where Numba keeps what it compiles.

        Raises:
            RuntimeError: no such folder can be written.
        """
        cache: Any = FunctionCache
        return Path(cache(self._kernel).cache_path)

    @property
    def path(self) -> Path:
        """The file of the object code: named after all that it is made from and for.

        Raises:
            RuntimeError: no folder can be written.
        """
        return self.folder / self._name(self._origin())

    def _link(self) -> tuple[Call, int]:
        origin = self._origin()
        name = self._name(origin)
        try:
            folder = self.folder
        except RuntimeError:  # nowhere to keep it: `retempo warmup` says so
            folder = None
        code = None
        for each in self._folders(folder):
            code = code or _read(each / name, origin)
        if code is None:
            code = object_code(self._kernel, self._arguments)
            if folder is not None:
                _write(folder / name, origin, code)
        return _linked(code)

    def _folders(self, writable: Path | None) -> Iterator[Path]:
        """Yield where it may lie: where Numba looks for folders, up to the first one to write to.

        One before it cannot be written, but may have been filled when it could.
        """
        file = str(sys.modules[self._kernel.__module__].__file__)
        kinds: list[Any] = [InTreeCacheLocator, UserWideCacheLocator]
        if CONFIG.CACHE_DIR:
            kinds.insert(0, UserProvidedCacheLocator)
        for kind in kinds:
            folder = Path(kind(self._kernel, file).get_cache_path())
            if folder == writable:
                break
            yield folder
        if writable is not None:
            yield writable

    def _name(self, origin: bytes) -> str:
        return f"{self._kernel.__name__}-{origin.hex()[:24]}.o"

    def _origin(self) -> bytes:
        """Return a digest of the kernel's name and sources, the compiler and the processor."""
        parts = [
            f"{self._kernel.__module__}.{self._kernel.__qualname__}",
            sys.version,
            llvmlite.__version__,
            str(binding.llvm_version_info),
            numba.__version__,
            np.__version__,
            str(DATA_AT),
            binding.get_host_cpu_name(),
            binding.get_host_cpu_features().flatten(),
        ]
        digest = hashlib.sha256("\n".join(parts).encode())
        for module in self._sources:
            digest.update(hashlib.sha256(Path(str(module.__file__)).read_bytes()).digest())
        return digest.digest()


def _read(path: Path, origin: bytes) -> bytes | None:
    """Return the object code in a file; None if there is none, or it is damaged or another's."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if _seal(origin, code) == digest else None


def _write(path: Path, origin: bytes, code: bytes) -> None:
    """Keep object code; another process sees all of it or nothing."""
    written = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            written = Path(file.name)
            file.write(_seal(origin, code) + code)
        written.replace(path)
    except OSError:
        # What cannot be kept is compiled again next time; `retempo warmup` says so.
        if written is not None:
            with suppress(OSError):
                written.unlink(missing_ok=True)


def _seal(origin: bytes, code: bytes) -> bytes:
    return hashlib.sha256(origin + code).digest()


def _linked(code: bytes) -> tuple[Call, int]:
    """Return the kernel in object code: as a function, and where it lies."""
    compiler = binding.create_lljit_compiler(machine_of())
    library = binding.JITLibraryBuilder().add_object_img(code)
    library = library.add_current_process().export_symbol(ENTRY).export_symbol(KERNEL)
    tracker = library.link(compiler, ENTRY)
    return callable_at(tracker[ENTRY], (tracker, compiler)), tracker[KERNEL]
