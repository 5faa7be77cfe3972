"""The house: what keeps it, over the syntax tree of every module of the kit.

Folders stand on floors, and a module imports from lower floors or from its own folder alone. Files,
functions and parameters have limits, which `EXCEPTIONS` exceed. A docstring's first line is a
sentence.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")
FLOORS = [
    {"system"},
    {"task", "metrics", "scale"},
    {"competition"},
    {"competitions", "data", "scoring"},
    {"recipe"},
    {"models", "results"},
    {"inference"},
    {"training", "blending"},
    {"reporting", "benchmarks", "starting"},
    {"tuning"},
    {"start", "folds", "train", "tune", "soup", "ensemble", "compare", "report", "sample", "bench"},
    {"demo"},
]
COMMANDS = FLOORS[-2] | FLOORS[-1]
LINES, BODY, PARAMETERS = 250, 50, 6
# What may be larger than it should: (module, function or ""), and why.
EXCEPTIONS = {
    ("competition", ""): "every field of a competition, its rule and its place stand together",
    ("recipe", ""): "every field of a recipe, its rule and its sentence stand together",
    ("competitions.mask_faces", "make_face"): "a face has that many looks",
    ("competitions.mask_pen", "arc"): "an arc of an ellipse has that many numbers",
}
# Modules whose test has another name, and where it is.
TESTED_ELSEWHERE: dict[str, str] = {}
# One module reads each kind of file.
READERS = {
    "pd.read_csv": {"system.table"},
    "np.load": {"data.cache"},
    "zipfile.ZipFile": {"system.arrays"},
    "torch.load": {"training.resume", "models.pretrained", "benchmarks.loops"},
    "safe_open": {"models.checkpoint"},
    "Image.open": {"data.photos", "benchmarks.decoding"},
}


def name_of(path: Path) -> str:
    """A module's name below `kit`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room(module: str) -> str:
    """The folder of a module, or the module itself where it stands in kit/."""
    return module.split(".")[0]


def floor(module: str) -> int:
    """The floor of a module's room."""
    return next(n for n, rooms in enumerate(FLOORS) if room(module) in rooms)


def imports(tree: ast.AST) -> Iterator[tuple[str, list[str], ast.stmt]]:
    """The modules of the kit that a tree imports from, below `kit`, and which names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kit":
            names = [alias.name for alias in node.names]
            module = (node.module or "").removeprefix("kit").removeprefix(".")
            if module in ("", *(p.name for p in ROOT.iterdir() if p.is_dir())):
                for name in names:
                    if not name.startswith("__"):
                        file = ROOT.joinpath(*module.split("."), f"{name}.py")
                        whole = f"{module}.{name}".lstrip(".")
                        yield (whole, [], node) if file.exists() else (module, [name], node)
            else:
                yield module, names, node


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Every function and method of a tree."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def body_lines(node: ast.FunctionDef) -> int:
    """The lines of a function's body, without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def too_large(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """What of a module is above a limit, and by how much."""
    text, module = path.read_text(encoding="utf-8"), name_of(path)
    lines = len(text.splitlines())
    if lines > LINES:
        yield (module, ""), f"{lines} lines"
    for node in functions(ast.parse(text)):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        number = len([a for a in arguments if a.arg not in ("self", "cls")])
        if body_lines(node) > BODY:
            yield (module, node.name), f"{body_lines(node)} lines of body"
        if number > PARAMETERS:
            yield (module, node.name), f"{number} parameters"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows_run_down(path):
    module = name_of(path)
    for other, names, node in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if other and room(other) != room(module):
            assert floor(other) < floor(module), f"line {node.lineno}: {module} imports {other}"
        private = [name for name in names if name.startswith("_")]
        assert not private, f"line {node.lineno}: {module} imports {private} of {other}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_stand_at_the_top_except_in_commands(path):
    if name_of(path) in COMMANDS:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in functions(tree):
        late = [n for n in ast.walk(node) if isinstance(n, (ast.Import, ast.ImportFrom))]
        assert not late, f"{name_of(path)} line {late[0].lineno}"
        outer = [n for n in ast.walk(node) if isinstance(n, ast.Nonlocal)]
        assert not outer, f"{name_of(path)} line {outer[0].lineno}"


def test_files_functions_and_parameters_keep_their_limits():
    large = dict(item for path in MODULES for item in too_large(path))
    assert {key: why for key, why in large.items() if key not in EXCEPTIONS} == {}
    assert [key for key in EXCEPTIONS if key not in large] == []  # the list only shrinks
    assert len(EXCEPTIONS) <= 10


def documented(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """A module and its functions, classes and methods, with their docstrings.

    Functions within functions are left out, and so are private names without a docstring.
    """
    yield "", ast.get_docstring(tree)
    nodes = [(node, "") for node in tree.body]
    for node, above in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name, text = f"{above}{node.name}", ast.get_docstring(node)
            if isinstance(node, ast.ClassDef):
                nodes += [(inner, f"{name}.") for inner in node.body]
            if text is not None or not any(part.startswith("_") for part in name.split(".")):
                yield name, text


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_docstring_s_first_line_is_a_sentence(path):
    for name, text in documented(ast.parse(path.read_text(encoding="utf-8"))):
        first, *rest = (text or "").splitlines() or [""]
        assert first.endswith(".") and "".join(rest[:1]) == "", f"{name or 'module'}: {first!r}"


@pytest.mark.parametrize("call", READERS)
def test_one_module_reads_each_kind_of_file(call):
    users = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == call:
                users.add(name_of(path))
    assert users and users <= READERS[call]


def is_of_text(call: ast.Call) -> bool:
    """True if a call opens a file, or a pipe, of text."""
    name, given = ast.unparse(call.func), [*call.args, *(k.value for k in call.keywords)]
    modes = [value.value for value in given if isinstance(value, ast.Constant)]
    if name == "open":
        return not any(
            isinstance(mode, str) and re.fullmatch("[rwaxb+]*b[rwaxb+]*", mode) for mode in modes
        )
    return name.endswith((".read_text", ".write_text")) or any(
        k.arg == "text" for k in call.keywords
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_text_is_read_and_written_in_an_encoding_that_is_named(path):
    """Otherwise it would be the locale's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and is_of_text(node):
            named = [k.arg for k in node.keywords] + [ast.unparse(value) for value in node.args]
            assert {"encoding", "'utf-8'"} & set(named), f"line {node.lineno}: name the encoding"


def test_every_module_has_a_test_file_of_its_own():
    """`tests/<room>/test_<module>.py`; where two would have one name, `test_<room>_<module>.py`."""
    for path in MODULES:
        place = path.relative_to(ROOT)
        names = [f"test_{place.stem}.py", f"test_{place.parent.name}_{place.stem}.py"]
        found = [name for name in names if (TESTS / place.parent / name).exists()]
        assert len(found) == 1 or TESTED_ELSEWHERE.get(name_of(path)), f"{place}: write {names}"
    assert [m for m in TESTED_ELSEWHERE if not (ROOT / f"{m.replace('.', '/')}.py").exists()] == []
    files = [path.name for path in TESTS.rglob("*.py")]
    assert sorted(set(files)) == sorted(files)  # pytest imports them by their names


def test_no_test_file_imports_from_another():
    tested = {path.stem for path in TESTS.rglob("test_*.py")}
    for path in TESTS.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not tested & set(names) and "conftest" not in names, path
        if not path.name.startswith("test_"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path


def test_every_folder_is_on_a_floor_and_named_in_the_house_s_map():
    rooms = {room(name_of(path)) for path in MODULES}
    assert rooms == set.union(*FLOORS)
