"""The catalogue of all messages: `python tests/messages.py` writes it from the code of the kit.

A site is a call that makes a message: an error (`KitError`, `problem`), a warning (`warn`), or the
text of an option's type. Its text is what the code says, with {expressions} for what the data say,
and with <one | or | other> where the code chooses.
"""

import argparse
import ast
import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import kit

KIT, CATALOGUE = Path(kit.__file__).parent, Path(__file__).with_name("messages.txt")
MAKERS = ("KitError", "problem", "warn", "LoggedError", "TrackerError", "ArgumentTypeError")
_HEAD = """All messages of the kit, by the file that has them: errors and warnings, and what to do.

{} stands for what the data say, <a | b> for what the code chooses. Written by python
tests/messages.py.
"""
# Errors that end in no remedy of their own, by (file, part of the message), and why.
_PASSED = "another message is passed on, with its remedy"
WITHOUT_REMEDY: dict[tuple[str, str], str] = {
    ("benchmarks/many_photos.py", "kit.bench ensemble: "): _PASSED,
    ("data/cache.py", "the pixel cache cannot be read"): "a part of a warning: photos are decoded",
    ("data/loader.py", "{self.root / self.images[i]}: {str(error)}"): _PASSED,
    ("data/loader.py", "re.split('KitError: '"): _PASSED,
    ("inference/pass_cache.py", "{path}: <{_wrong(kept)}"): "a part of a warning: computed again",
    ("reporting/checks.py", "{refused[0]}"): _PASSED,
    ("scale/attempt.py", "{job.name}: {line"): "a bug: its traceback is in the log",
    ("scale/processes.py", "its result cannot be sent"): "a bug",
    ("starting/look.py", "is larger than"): "a part of another message: no table is that large",
    ("system/fields.py", " must be "): "the rule says what to write",
    ("system/options.py", "take a whole number"): "the parser adds --help",
    ("system/options.py", "{number}: take"): "the parser adds --help",
    ("system/options.py", "take a share of a GPU"): "the parser adds --help",
    ("system/script.py", "{path}: {error}"): _PASSED,
    ("training/checks.py", "recipe {recipe.name}: {error}"): _PASSED,
    ("tune.py", "'kit.train --force'"): _PASSED,
    ("tuning/search.py", "{outcome.note}"): _PASSED,
    ("tuning/space.py", "--vary {text}: {error}"): _PASSED,
}
# Errors whose remedy no test tries, and warnings that no test gets, and why.
_MACHINES = "needs a cluster, or machines that do not share a folder"
_BENCH = "the READMEs' command lines, which are run, do what it says"
UNTRIED: dict[tuple[str, str], str] = {
    ("benchmarks/decoding.py", "the temporary folder has no room"): "needs a full disk",
    ("benchmarks/inference.py", "a run's own photos are needed"): _BENCH,
    ("benchmarks/many_photos.py", "kit.bench ensemble: "): "what kit.ensemble said",
    ("benchmarks/timing.py", "has ended, most likely for memory"): "needs memory that runs out",
    ("benchmarks/training.py", "there are too few photos"): _BENCH,
    ("blending/block_runs.py", "lacks probabilities that another process"): _MACHINES,
    ("blending/block_runs.py", "{blocks.unkept[0]}"): _MACHINES,
    ("data/planning.py", "damaged test photos"): "a remark that kit.folds warns of",
    ("data/planning.py", "that are training photos, too"): "a remark that kit.folds warns of",
    ("reporting/recipe_table.py", "holds no recipes"): "the kit's own are installed with it",
    ("scale/cluster.py", "no node has room for a task"): _MACHINES,
    ("scale/cluster.py", "cannot be reached"): _MACHINES,
    ("scale/cluster.py", "has not answered for"): _MACHINES,
    ("scale/cluster.py", "cannot run the kit"): _MACHINES,
    ("scale/cluster.py", "no node is left that has room"): _MACHINES,
    ("scale/processes.py", "its result cannot be sent"): "a bug",
    ("starting/guess.py", "has no column with few values"): "other checks come first",
    ("starting/look.py", "is larger than"): "needs a table of gigabytes",
    ("system/parquet.py", "may run code"): "tried where pyarrow is installed",
    ("system/parquet.py", "is no parquet file"): "tried where pyarrow is installed",
    ("system/parquet.py", "cells, and at most"): "tried where pyarrow is installed",
    ("system/parquet.py", "has no rows; it needs"): "tried where pyarrow is installed",
}
_PLACE, _WRONG, _OFFENDERS, _REMEDY = range(4)  # the parameters of `problem`


@dataclasses.dataclass(frozen=True)
class Site:
    """A call that makes a message: where it stands, and what it says."""

    module: str
    lines: range
    maker: str
    text: str


@functools.cache
def sites() -> list[Site]:
    """Every site of the kit, by module and line."""
    return [site for path in sorted(KIT.rglob("*.py")) for site in _sites(path)]


def _sites(path: Path) -> Iterator[Site]:
    """The sites of a module."""
    module, tree = path.relative_to(KIT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
    if module in ("system/errors.py", "system/console.py"):
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        maker = ast.unparse(call.func).rpartition(".")[2]
        if maker in MAKERS:
            text = " ".join(_message(call, maker, _before(tree, call)).split())
            yield Site(module, range(call.lineno, (call.end_lineno or 0) + 1), maker, text)


def _message(call: ast.Call, maker: str, before: list[ast.stmt]) -> str:
    """The text of a call that makes a message."""
    if maker != "problem":
        return _text(call.args[0], before)
    parts: dict[object, ast.expr] = dict(enumerate(call.args))
    parts |= {keyword.arg: keyword.value for keyword in call.keywords}
    place, wrong = _text(parts[_PLACE], before), _text(parts[_WRONG], before)
    offenders = parts.get(_OFFENDERS, parts.get("offenders"))
    some = (
        "" if offenders is None or ast.unparse(offenders) == "[]" else " (N found, the first: {})"
    )
    remedy = parts.get(_REMEDY, parts.get("remedy"))
    return f"{place}: {wrong}{some}" + (f"; {_text(remedy, before)}" if remedy else "")


def _before(tree: ast.AST, call: ast.Call) -> list[ast.stmt]:
    """The statements that run before a call in its function and module, the nearest first."""
    blocks = [
        block
        for node in ast.walk(tree)
        for name in ("body", "orelse", "finalbody")
        if isinstance(block := getattr(node, name, None), list) and block
        if block[0].lineno <= call.lineno <= (block[-1].end_lineno or 0)
    ]
    statements = [part for block in blocks for part in block]
    return sorted(
        (part for part in statements if part.end_lineno < call.lineno or _loops(part, call)),
        key=lambda part: -part.lineno,
    )


def _loops(statement: ast.stmt, call: ast.AST) -> bool:
    """True for a loop that a call stands in."""
    return isinstance(statement, ast.For) and statement.lineno < call.lineno


def _meanings(name: str, before: list[ast.stmt]) -> tuple[list[ast.expr], list[ast.expr]]:
    """What a name may stand for after some statements, and what may be added to it."""
    values: list[ast.expr] = []
    added: list[ast.expr] = []
    for statement in before:
        if isinstance(statement, ast.For):
            targets = [
                ast.unparse(t) for t in getattr(statement.target, "elts", [statement.target])
            ]
            if name in targets:
                rows, at = getattr(statement.iter, "elts", []), targets.index(name)
                return [getattr(row, "elts", [row])[at] for row in rows], added
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == name:
                added.insert(0, node.value)
            for target in node.targets if isinstance(node, ast.Assign) else []:
                pair = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                pairs = zip(target.elts, node.value.elts) if pair else [(target, node.value)]
                values += [value for part, value in pairs if ast.unparse(part) == name]
        if values and (isinstance(statement, ast.Assign) or getattr(statement, "orelse", [])):
            break
    return values, added


def _text(node: ast.expr, before: list[ast.stmt]) -> str:
    """An expression as a text: what is constant in it, and the rest in braces."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, before) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, before)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_text(node):
        return _text(node.left, before) + _text(node.right, before)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_text(node):
        return _either([_text(node.left, before), ""])
    if isinstance(node, ast.IfExp):
        return _either([_text(node.body, before), _text(node.orelse, before)])
    if isinstance(node, ast.Name):
        values, added = _meanings(node.id, before)
        texts = [_text(value, before[before.index(_of(value, before)) + 1 :]) for value in values]
        if any(not text.startswith("{") for text in texts):
            return _either(texts) + "".join(_either(["", _text(part, before)]) for part in added)
    return "{" + ast.unparse(node) + "}"


def _is_text(node: ast.expr) -> bool:
    """True if a constant text is in an expression."""
    return any(isinstance(getattr(part, "value", None), str) for part in ast.walk(node))


def _of(value: ast.expr, statements: list[ast.stmt]) -> ast.stmt:
    """The statement that an expression stands in."""
    return next(s for s in statements if s.lineno <= value.lineno <= (s.end_lineno or 0))


def _either(texts: list[str]) -> str:
    """The texts of which one is meant."""
    different = list(dict.fromkeys(texts))
    return different[0] if len(different) == 1 else f"<{' | '.join(different)}>"


def listed(site: Site, listing: Mapping[tuple[str, str], str]) -> str:
    """What a listing says of a site; empty if it is not in it."""
    found = [why for (module, part), why in listing.items() if _is(site, module, part)]
    return "".join(found[:1])


def _is(site: Site, module: str, part: str) -> bool:
    return site.module == module and part in site.text


def catalogue() -> str:
    """The text of the catalogue."""
    lines = [_HEAD]
    for module, of_module in itertools.groupby(sites(), key=lambda site: site.module):
        lines.append(f"\nkit/{module}\n")
        for site in of_module:
            message, _, remedy = site.text.partition("; ")
            remedy = remedy or f"({listed(site, WITHOUT_REMEDY) or 'nothing is to be done'})"
            untried = listed(site, UNTRIED)
            lines.append(f"  {'warning: ' * (site.maker == 'warn')}{message}\n      -> {remedy}\n")
            lines += [f"      not tried: {untried}\n"] if untried else []
    return "".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    CATALOGUE.write_text(catalogue(), encoding="utf-8")
