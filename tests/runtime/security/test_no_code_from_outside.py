"""Nothing that comes from outside is run: no pickle, no eval, no shell, anywhere in the package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("sensors", "exporters", "runtime", "training", "retempo", "benchmarks")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "pty"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    ("os", "system"),
    ("os", "popen"),
    ("subprocess", "getoutput"),
    ("subprocess", "getstatusoutput"),
    ("zmq", "recv_pyobj"),
    ("yaml", "load"),
}
# Their default reads a pickle.
LOADERS = {"recv_pyobj", "send_pyobj"}


def sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES:
                yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _offences_of_call(node)


def _offences_of_call(node: ast.Call) -> Iterator[str]:
    called = node.func
    if isinstance(called, ast.Name) and called.id in CALLS:
        yield f"{called.id}()"
    if isinstance(called, ast.Attribute):
        owner = called.value.id if isinstance(called.value, ast.Name) else ""
        if (owner, called.attr) in METHODS or called.attr in LOADERS:
            yield f"{owner}.{called.attr}()"
    for keyword in node.keywords:
        value = keyword.value
        switched_on = not (isinstance(value, ast.Constant) and value.value in (False, None))
        if keyword.arg in ("shell", "allow_pickle") and switched_on:
            yield f"{keyword.arg}="
        if keyword.arg == "weights_only" and not (
            isinstance(value, ast.Constant) and value.value is True
        ):
            yield "weights_only="


def test_no_module_runs_what_it_reads() -> None:
    found = {
        str(path.relative_to(ROOT)): sorted(set(offences(ast.parse(path.read_text()))))
        for path in sources()
    }
    assert len(found) > 200
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.memory",
        "eval(text)",
        "exec(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.Popen(text, shell=asked)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path, weights_only=False)",
        "sock.recv_pyobj()",
    ],
)
def test_an_offence_is_seen(line: str) -> None:
    assert list(offences(ast.parse(line)))


def test_arrays_are_never_loaded_with_the_default_of_torch() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(keyword.arg == "weights_only" for keyword in node.keywords), path
