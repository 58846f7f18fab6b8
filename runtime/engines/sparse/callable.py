"""A kernel as a function of Python, by Python's own convention for compiled functions.

A call by ctypes converts each argument by objects of its own, 1 us for those of a kernel: as much
as a step of a small network takes.
"""

import ctypes
from collections.abc import Callable
from typing import Any

# What code for the processor is called: the kernel as Numba wrote it, and the way into it.
KERNEL, ENTRY = "retempo_kernel", "retempo_entry"

_FASTCALL = 0x80

# Results and arguments are whole numbers; the interpreter is left free while the kernel works.
_CODE = """
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyErr_Occurred()
declare void @PyErr_SetString(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @{kernel}(ptr, ptr{types})
@PyExc_TypeError = external global ptr
@text = private constant [{size} x i8] c"{text}\\00"

define ptr @{entry}(ptr %self, ptr %arguments, i64 %count) {{
  %result = alloca i64
  %exception = alloca ptr
  store i64 0, ptr %result
  %right = icmp eq i64 %count, {number}
  br i1 %right, label %read, label %wrong
wrong:
  %error = load ptr, ptr @PyExc_TypeError
  call void @PyErr_SetString(ptr %error, ptr @text)
  ret ptr null
read:
{reads}
  %occurred = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %occurred, null
  br i1 %failed, label %none, label %work
none:
  ret ptr null
work:
  %thread = call ptr @PyEval_SaveThread()
  %status = call i32 @{kernel}(ptr %result, ptr %exception{values})
  call void @PyEval_RestoreThread(ptr %thread)
  %found = load i64, ptr %result
  %object = call ptr @PyLong_FromLongLong(i64 %found)
  ret ptr %object
}}
"""
_READ = """
  %at{k} = getelementptr ptr, ptr %arguments, i64 {k}
  %object{k} = load ptr, ptr %at{k}
  %value{k} = call i64 @PyLong_AsLongLong(ptr %object{k})"""


class _Method(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def entry_code(arguments: int) -> str:
    """Return the code of `ENTRY`, which calls `KERNEL` with so many whole numbers."""
    text = f"a kernel takes {arguments} whole numbers"
    return _CODE.format(
        kernel=KERNEL,
        entry=ENTRY,
        number=arguments,
        size=len(text) + 1,
        text=text,
        types=", i64" * arguments,
        reads="".join(_READ.format(k=k) for k in range(arguments)),
        values="".join(f", i64 %value{k}" for k in range(arguments)),
    )


def callable_at(address: int, owner: object) -> Callable[..., int]:
    """Return the function of Python whose `ENTRY` lies at an address; `owner` lives as long."""
    method = _Method(ENTRY.encode(), address, _FASTCALL, None)
    make: Any = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.POINTER(_Method), ctypes.py_object, ctypes.c_void_p
    )(("PyCFunction_NewEx", ctypes.pythonapi))
    call: Callable[..., int] = make(ctypes.byref(method), (method, owner), None)
    return call
