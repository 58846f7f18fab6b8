"""Kernels kept as object code, which a process links without waking the compiler.

Numba's own cache brings a function back through the compiler's type registries: 0.6 s for the first
call of a process, however small the function. A kernel that takes and returns whole numbers alone,
addresses among them, needs nothing of it: its object code is kept beside Numba's cache, named after
all that it was made from, and linked in 15 ms.
"""

import ctypes
import hashlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.np.numpy_support import carray

from retempo.runtime import pointers
from retempo.runtime.pointers import pointer

# Where an array object of NumPy keeps the address of its data: behind the head of any object.
_DATA_AT = object.__basicsize__
_DIGEST = hashlib.sha256().digest_size

Call = Callable[..., int]


@njit(forceinline=True, error_model="numpy")
def data_of(array: int) -> int:  # pragma: no cover - compiled
    """Return where the data of the array object at an address lie.

    To ask NumPy costs 1 to 2 us an array, as much as a step of a small network.
    """
    data: int = carray(pointer(array + _DATA_AT), (1,), np.int64)[0]
    return data


class Ahead:
    """A kernel of whole numbers, `int64` each, compiled when it is first needed, or linked.

    The caller gives the call room for its result: `call(result, exception, *arguments)`, both the
    address of a word, of which the first holds the result afterwards. The GIL is free meanwhile.
    """

    def __init__(self, kernel: Callable[..., int], sources: Sequence[ModuleType]) -> None:
        """`sources` are the modules of what the kernel calls: a change of any makes it anew.

        This one and that of the pointers are always among them.
        """
        self._kernel = kernel
        self._arguments: int = kernel.__code__.co_argcount
        self._sources = (*sources, sys.modules[__name__], pointers)
        self._lock = threading.Lock()
        self._linked: tuple[Call, object] | None = None

    @property
    def call(self) -> Call:
        """The kernel, linked."""
        with self._lock:
            if self._linked is None:
                self._linked = self._link()
            return self._linked[0]

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
        """The file of the object code: named after the sources, the compiler and the processor."""
        parts = [
            llvmlite.__version__,
            numba.__version__,
            np.__version__,
            str(_DATA_AT),
            binding.get_host_cpu_name(),
            binding.get_host_cpu_features().flatten(),
        ]
        digest = hashlib.sha256("\n".join(parts).encode())
        for module in self._sources:
            digest.update(Path(str(module.__file__)).read_bytes())
        return self.folder / f"{self._kernel.__name__}-{digest.hexdigest()[:24]}.o"

    def _link(self) -> tuple[Call, object]:
        try:
            path = self.path
        except RuntimeError:  # nowhere to keep it: `retempo warmup` says so
            return _linked(_compiled(self._kernel, self._arguments), self._arguments)
        code = _read(path)
        if code is None:
            code = _compiled(self._kernel, self._arguments)
            _write(path, code)
        return _linked(code, self._arguments)


def _read(path: Path) -> bytes | None:
    """Return the object code in a file, None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Keep object code; another process sees all of it or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(file.name, path)  # noqa: PTH105  (a name, not a Path)
    except OSError:
        return  # what cannot be kept is compiled again next time; `retempo warmup` says so


_ENTRY = "retempo_entry"
# Views of arrays are counted by their owner; the kernel's have none, and what would free it is
# never called.
_OWNER = r"declare void @NRT_MemInfo_call_dtor\(([^)]*)\).*"
_NO_OWNER = r"define internal void @NRT_MemInfo_call_dtor(\1 %0) { ret void }"


def _compiled(kernel: Callable[..., int], arguments: int) -> bytes:
    """Compile a kernel to object code that depends on nothing but the C library."""
    compiler: Any = njit(error_model="numpy")(kernel)
    compiler.compile((types.int64,) * arguments)
    (result,) = compiler.overloads.values()
    # Its wrappers for Python are dropped, and with them every symbol of Numba's runtime.
    text = re.sub(_OWNER, _NO_OWNER, str(result.library._final_module))  # noqa: SLF001
    module = binding.parse_assembly(text)
    for each in (*module.functions, *module.global_variables):
        if each.name == result.fndesc.llvm_func_name:
            each.name = _ENTRY
        elif not each.is_declaration:
            each.linkage = "internal"
    machine = _machine()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _machine() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="small",
    )


def _linked(code: bytes, arguments: int) -> tuple[Call, object]:
    """Return the kernel in object code, and what must live as long as it."""
    compiler = binding.create_lljit_compiler(_machine())
    library = binding.JITLibraryBuilder().add_object_img(code)
    tracker = library.add_current_process().export_symbol(_ENTRY).link(compiler, _ENTRY)
    word = ctypes.c_int64
    # Numba's convention: room for the result, room for an exception, the arguments.
    entry = ctypes.CFUNCTYPE(ctypes.c_int32, word, word, *[word] * arguments)(tracker[_ENTRY])
    return entry, (compiler, tracker)
