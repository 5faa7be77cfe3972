"""The small faults that `mutation.py` puts into a module, one at a time."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {"min": "max", "any": "all", "argmin": "argmax", "minimum": "maximum", "floor": "ceil"}
NAMES |= {other: name for name, other in NAMES.items()}
SYMMETRIC = {"min", "max", "minimum", "maximum"}  # functions whose arguments may be swapped
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Change:
    """One change of a module's tree: `apply()` makes it.

    `lines` are those of the smallest statement around it; `function` is True in a function's body.
    """

    what: str
    line: int
    lines: range
    function: bool
    apply: Callable[[], None]


def changes(tree: ast.Module) -> Iterator[Change]:
    """Every change of a module, in the order of its text.

    Left out are annotations, decorators, docstrings, imports, `__all__`, `strict` of `zip`, and
    texts for people: those with a space, and those in f-strings.
    """
    yield from _walk(tree, range(0), False)


def _walk(node: ast.AST, lines: range, function: bool, in_text: bool = False) -> Iterator[Change]:
    """The changes of what is below a node, which may lie in an f-string."""
    names: set[str] = set()
    if isinstance(node, FUNCTIONS):
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        names = {argument.arg for argument in arguments}
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment", "format_spec"):
            continue
        inside = function or (field == "body" and isinstance(node, FUNCTIONS))
        for position, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_left_out(node, child):
                continue
            around = _own_lines(child) if isinstance(child, ast.stmt) else lines

            def put(new: ast.AST, field=field, position=position, child=child) -> None:
                ast.copy_location(new, child)
                if isinstance(getattr(node, field), list):
                    getattr(node, field)[position] = new
                else:
                    setattr(node, field, new)
                ast.fix_missing_locations(node)

            text = isinstance(child, ast.Constant) and isinstance(child.value, str)
            for new in () if text and in_text else _replacements(child, names):
                line = getattr(child, "lineno", around.start)
                what = f"{_short(child)} -> {_short(new)}"
                yield Change(what, line, around, inside, lambda new=new, put=put: put(new))
            if isinstance(child, ast.stmt):
                names |= _bound(child)
            in_text_too = in_text or isinstance(child, ast.JoinedStr)
            yield from _walk(child, around, inside, in_text_too)


def _is_left_out(node: ast.AST, child: ast.AST) -> bool:
    """True if nothing of a child is changed."""
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(child, ast.Expr):
        return isinstance(child.value, ast.Constant)  # a docstring
    if isinstance(child, ast.Assign):
        return ast.unparse(child.targets[0]) == "__all__"
    return isinstance(child, (ast.Import, ast.ImportFrom)) or (
        isinstance(node, ast.Call)
        and child is node.func
        and isinstance(child, ast.Name)
        and child.id not in NAMES
    )


def _own_lines(node: ast.stmt) -> range:
    """The lines of a statement; of one with a body those above it."""
    body = getattr(node, "body", None)
    return range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement and those in it give a value."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and type(n.ctx) is ast.Store}


def _short(node: ast.AST) -> str:
    """A node's text."""
    return " ".join(ast.unparse(node).split())[:90]


def _replacements(node: ast.AST, names: set[str]) -> Iterator[ast.AST]:
    """What may stand in the place of a node, each a fault; `names` have a value before it."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            ops = [*node.ops[:i], COMPARISONS[type(operator)](), *node.ops[i + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(OPERATORS[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)) and _is_bare(node.test):
        negated = {"test": ast.UnaryOp(ast.Not(), node.test)}
        yield type(node)(**dict(ast.iter_fields(node)) | negated)
    elif isinstance(node, ast.comprehension) and any(map(_is_bare, node.ifs)):
        negated = [ast.UnaryOp(ast.Not(), test) for test in node.ifs]
        yield ast.comprehension(node.target, node.iter, negated, node.is_async)
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func).split(".")[-1]
        plain = not any(isinstance(argument, ast.Starred) for argument in node.args[:2])
        plain = plain and len({ast.dump(argument) for argument in node.args[:2]}) == 2
        if len(node.args) > 1 and plain and name not in SYMMETRIC:
            yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.stmt):
        yield from _statements(node, names)


def _is_bare(test: ast.expr) -> bool:
    """True if a condition has no operator of its own that is changed."""
    return not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp))


def _constants(value: object) -> Iterator[ast.expr]:
    """Another constant: a number and 1, the other truth value, a name with an X before it."""
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and " " not in value.strip():
        yield ast.Constant(f"X{value}")


def _statements(node: ast.stmt, names: set[str]) -> Iterator[ast.stmt]:
    """A statement left out, or one that returns nothing; not where a name would lack its value."""
    if isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, (ast.Expr, ast.Raise, ast.AugAssign)):
        yield ast.Pass()
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield ast.Pass()
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if all(type(target) is not ast.Name or target.id in names for target in targets) and (
            all(not isinstance(target, ast.Tuple) or _bound(node) <= names for target in targets)
        ):
            yield ast.Pass()
