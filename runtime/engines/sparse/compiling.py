# mypy: disable-error-code="no-untyped-call"
"""From functions to object code: all that a kernel calls becomes one module, optimised once.

Left to itself Numba makes each function ready by itself: wraps it for Python and for C, optimises
it, takes in all that it calls, optimises that again, and makes machine code of it. Of the dozens of
functions of a kernel, of which one alone is called from outside, that is 17 s of work. Here Numba
infers the types and writes the code; the rest is done once for all functions together.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from llvmlite import binding
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.runtime.nrt import rtsys
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    FixupArgs,
    IRProcessing,
    ReconstructSSA,
    TranslateByteCode,
)

from retempo.runtime.engines.sparse.callable import ENTRY, KERNEL, entry_code

F = TypeVar("F", bound=Callable[..., Any])


class _Code(JITCodeLibrary):
    """The code of one function as it was written, without that of what it calls."""

    def add_llvm_module(self, ll_module: Any) -> None:
        self._final_module.link_in(ll_module)

    def finalize(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _Write(NativeLowering):
    """Writes a function's code and leaves it at that."""

    _name = "retempo_write"

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = True
        state.library = _Code(state.targetctx.codegen(), state.func_id.func_qualname)
        super().run_pass(state)
        # What its callers find it by, in the place of a function that Python could call.
        written = state["cr"]._replace(cfunc=object())
        state.targetctx.insert_user_function(written.cfunc, written.fndesc, [state.library])
        state["cr"] = written
        return True


# Those of Numba's own that change these functions, which have no closures, `with` or `literally`.
_PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    AnnotateTypes,
    _Write,
    NoPythonBackend,
)


class _Compiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        passes = PassManager("retempo")
        for each in _PASSES:
            passes.add_pass(each, each.name())
        passes.finalize()
        return [passes]


class Part(CPUDispatcher):
    """A function that the functions of a kernel call; called from Python, it runs in Python."""

    def add_overload(self, cres: Any) -> None:
        """Keep it for its callers; there is none in Python."""
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        """Return what Python calls: the function as it stands."""
        del args, kws
        return self.py_func


def part(**options: Any) -> Callable[[F], F]:
    """Return a decorator for a function of a kernel, with options of `numba.njit`."""
    options = {
        "nopython": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        # Arrays are views here, owned elsewhere: no references to count.
        "_nrt": False,
        "no_rewrites": True,
        **options,
    }

    def decorate(function: F) -> F:
        made: Any = Part(function, targetoptions=options, pipeline_class=_Compiler)
        decorated: F = made
        return decorated

    return decorate


def object_code(kernel: Callable[..., int], arguments: int) -> bytes:
    """Compile a kernel of whole numbers; it depends on the C library and on Python's alone."""
    with global_compiler_lock, _no_collection():
        compiler: Any = part()(kernel)
        compiler.compile((types.int64,) * arguments)
        (result,) = compiler.overloads.values()
        module = binding.parse_assembly(f'target triple = "{binding.get_process_triple()}"')
        for code in _together(result.library):
            module.link_in(code, preserve=True)
    named = module.get_function(result.fndesc.llvm_func_name)
    named.name = KERNEL
    module.link_in(binding.parse_assembly(entry_code(arguments)))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name not in (ENTRY, KERNEL):
            each.linkage = "internal"
    machine = machine_of()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no objects be collected: there are millions of them, and all live on to the end."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _together(library: Any) -> Iterator[Any]:
    """Yield the code of a function and of all that it calls."""
    seen, waiting = {rtsys.library}, [library]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            if isinstance(each, _Code):
                yield each._final_module  # noqa: SLF001
                waiting += each._linking_libraries  # noqa: SLF001
            else:
                yield each._get_module_for_linking()  # noqa: SLF001  (one of Numba's own)


def machine_of() -> Any:
    """Return what makes code for this processor."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="small",
    )
