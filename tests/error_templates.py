"""The texts of our errors as the code has them: what a walk of its syntax trees finds, without running it.

A template is a text with numbered places: `{0}` for a value, `{0:n}` for a number, `{0:r}` for a value in quotes
(`!r`), `{0:t}` for a text of ours that has templates itself, `{0:t?}` for one that may also be any value. What is
followed: literals, f-strings, `+`, conditions, names of the function, of its module and of modules it imports from,
what a function of ours answers, what those give who call one, what is appended to a list, attributes set on `self`.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

INCLUDE: Final = Path(__file__).parents[1] / "include" / "ispeed"
ERRORS: Final = ("UserError", "ShareFault", "SiteFault", "RemoteFault", "CheckFailed")
PARTS: Final = ("where", "found", "expected", "remedy")
_DEEPEST: Final = 12
# What a column, a setting, a task, a table or a file is called.
_NAME: Final = re.compile(r"[A-Z][A-Z_0-9=]*|\.?\w+([_.-]\w+)+|[a-z]*[0-9]+[a-z0-9]*")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """Something filled in; `kind` is what stands behind its number in a template."""

    kind: str = ""


Pieces = tuple[str | Place, ...]
ANY: Final[Pieces] = (Place(),)


@dataclass(frozen=True, eq=False)
class Scope:
    """Where an expression stands: its module, and the functions around it, the innermost last."""

    module: str
    functions: tuple[_Function, ...] = ()


@dataclass
class Told:
    """What the walk found: each template with the places in the code that have it, and what it could not see into."""

    templates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unseen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class Code:
    """The modules of `include/ispeed`, and what stands where in them."""

    def __init__(self, folder: Path = INCLUDE) -> None:
        self.trees = {
            path.relative_to(folder).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
            for path in sorted(folder.rglob("*.py"))
        }
        self.imports = {module: dict(self._imports_of(tree)) for module, tree in self.trees.items()}
        self.functions: dict[str, list[tuple[_Function, Scope]]] = defaultdict(list)
        self.calls: dict[str, list[tuple[ast.Call, Scope]]] = defaultdict(list)
        self.constants: dict[tuple[str, str], list[ast.expr]] = defaultdict(list)
        self.attributes: dict[tuple[str, str], list[tuple[ast.expr, Scope]]] = defaultdict(list)
        self.class_of: dict[ast.AST, str] = {}
        self.home_of: dict[_Function, str] = {}
        self.told = Told()
        self._followed: list[int] = []
        self._open: list[int] = []
        for module, tree in self.trees.items():
            for node in tree.body:
                for name, value in _assigned(node):
                    self.constants[module, name].append(value)
            self._look(tree, Scope(module))

    def walk(self) -> Told:
        """The templates of every error that the code makes."""
        for name in ERRORS:
            for call, scope in self.calls[name]:
                arguments = dict(zip(PARTS, call.args, strict=False))
                arguments |= {word.arg: word.value for word in call.keywords if word.arg in PARTS}
                for expression in arguments.values():
                    at = f"{scope.module}: {ast.unparse(expression)}"
                    for pieces in self._lines(expression, scope):
                        self._note(pieces, at)
        return self.told

    def _note(self, pieces: Pieces, at: str) -> str:
        template = _template(pieces)
        if _is_language(pieces):
            self.told.templates[template].add(at)
        elif pieces == ANY:
            self.told.unseen[at.partition(": ")[2]].add(at.partition(": ")[0])
        return template

    def _look(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, _Function):
                self.functions[child.name].append((child, scope))
                self.home_of[child] = scope.module
                inner = Scope(scope.module, (*scope.functions, child))
            if isinstance(child, ast.ClassDef):
                self.class_of |= dict.fromkeys(child.body, child.name)
            if isinstance(child, ast.Call):
                self.calls[_name(child.func)].append((child, scope))
            if isinstance(child, ast.stmt):
                for target, value in _assigned(child):
                    if "." in target:
                        self.attributes[scope.module, target.partition(".")[2]].append((value, scope))
            self._look(child, inner)

    def _lines(self, expression: ast.expr, scope: Scope) -> Iterator[Pieces]:
        """The texts of a part, which for what was found may be a sequence of lines."""
        for value, where in self._values(expression, scope):
            if isinstance(value, ast.List | ast.Tuple):
                for element in value.elts:
                    yield from self._lines(element, where)
            elif isinstance(value, ast.ListComp | ast.GeneratorExp):
                yield from self._lines(value.elt, where)
            else:
                yield from self._texts(value, where)

    def _values(self, expression: ast.expr, scope: Scope) -> list[tuple[ast.expr, Scope]]:
        """What an expression may be: names and conditions followed to what stands behind them."""
        # A loop, such as a name that is made longer step by step, ends where it began.
        if id(expression) in self._followed or len(self._followed) > _DEEPEST:
            return []
        self._followed.append(id(expression))
        try:
            if isinstance(expression, ast.IfExp):
                nearer = [(expression.body, scope), (expression.orelse, scope)]
            elif isinstance(expression, ast.BoolOp):
                nearer = [(value, scope) for value in expression.values]
            elif isinstance(expression, ast.NamedExpr | ast.Starred):
                nearer = [(expression.value, scope)]
            else:
                nearer = list(self._behind(expression, scope))
            if not nearer:
                return [(expression, scope)]
            return [one for value, where in nearer for one in self._values(value, where)]
        finally:
            self._followed.pop()

    def _behind(self, expression: ast.expr, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
        if isinstance(expression, ast.Name):
            for depth in range(len(scope.functions), 0, -1):
                function = scope.functions[depth - 1]
                within = Scope(scope.module, scope.functions[:depth])
                local = _locals(function).get(expression.id, ())
                yield from ((value, within) for value in local)
                is_parameter = expression.id in _parameters(function)
                if is_parameter:
                    yield from self._given(function, expression.id)
                if local or is_parameter:
                    return
            module, name = self._imported(scope.module, expression.id)
            yield from ((value, Scope(module)) for value in self.constants.get((module, name), ()))
        elif isinstance(expression, ast.Attribute) and _name(expression.value) == "self":
            yield from self.attributes.get((scope.module, expression.attr), ())
            yield from self._fields(expression.attr, scope)
        elif isinstance(expression, ast.Call):
            for function, around in self._called(expression, scope):
                within = Scope(around.module, (*around.functions, function))
                for node in ast.walk(function):
                    if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
                        yield node.value, within

    def _fields(self, name: str, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
        """What the fields of dataclasses are given where those are made."""
        owners = {self.class_of[function] for function in scope.functions if function in self.class_of}
        for node in self.trees[scope.module].body:
            if isinstance(node, ast.ClassDef) and node.name in owners:
                names = [_target(one.target) for one in node.body if isinstance(one, ast.AnnAssign)]
                for call, at in self.calls[node.name] if name in names else ():
                    if len(call.args) > names.index(name):
                        yield call.args[names.index(name)], at
                    yield from ((word.value, at) for word in call.keywords if word.arg == name)

    def _called(self, call: ast.Call, scope: Scope) -> list[tuple[_Function, Scope]]:
        name = _name(call.func)
        if isinstance(call.func, ast.Name):
            module, name = self._imported(scope.module, name)
            return [(function, at) for function, at in self.functions[name] if at.module == module]
        return [
            (function, at)
            for function, at in self.functions[name]
            if _is_method(function) and self._knows(scope.module, at.module)
        ]

    def _knows(self, module: str, other: str) -> bool:
        return module == other or any(home == other for home, _ in self.imports[module].values())

    def _given(self, function: _Function, parameter: str) -> Iterator[tuple[ast.expr, Scope]]:
        """What those give for a parameter who call the function."""
        names = _parameters(function)
        is_method = _is_method(function)
        owner = self.home_of[function]
        calls = self.calls[function.name]
        if function.name == "__init__":
            calls = self.calls[self.class_of[function]]
        for call, scope in calls:
            if isinstance(call.func, ast.Name) and function.name != "__init__":
                if is_method or self._imported(scope.module, call.func.id)[0] != owner:
                    continue
            elif isinstance(call.func, ast.Attribute) and not (is_method and self._knows(scope.module, owner)):
                continue
            position = names.index(parameter) - is_method
            keywords = {word.arg: word.value for word in call.keywords}
            if parameter in keywords:
                yield keywords[parameter], scope
            elif 0 <= position < len(call.args) and not any(
                isinstance(one, ast.Starred) for one in call.args[: position + 1]
            ):
                yield call.args[position], scope
        arguments = function.args
        defaults = dict(zip(reversed([one.arg for one in arguments.args]), reversed(arguments.defaults), strict=False))
        defaults |= {
            one.arg: value for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
        }
        if parameter in defaults:
            yield defaults[parameter], Scope(owner)

    def _imported(self, module: str, name: str) -> tuple[str, str]:
        """Where a name of a module comes from, and what it is called there."""
        return self.imports[module].get(name, (module, name))

    def _imports_of(self, tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ispeed"):
                path = "/".join((node.module or "").split(".")[1:])
                home = next(one for one in (f"{path}.py", f"{path}/__init__.py", "__init__.py") if one in self.trees)
                yield from ((alias.asname or alias.name, (home, alias.name)) for alias in node.names)

    def _texts(self, expression: ast.expr, scope: Scope) -> list[Pieces]:
        """The templates of one expression; `ANY` where nothing is known of it."""
        texts: list[Pieces] = []
        for value, where in self._values(expression, scope):
            if id(value) in self._open:
                # A text made of itself, such as `where = f"{where}, row 7"`.
                texts.append(ANY)
                continue
            self._open.append(id(value))
            if isinstance(value, ast.ListComp | ast.GeneratorExp):
                texts += self._texts(value.elt, where)
            elif isinstance(value, ast.Constant):
                texts.append((str(value.value),) if value.value is not None else ("",))
            elif isinstance(value, ast.JoinedStr):
                texts += self._product([self._part(part, where) for part in value.values])
            elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add) and not _is_sum(value):
                texts += self._product([self._within(value.left, where), self._within(value.right, where)])
            else:
                texts.append(ANY)
            self._open.pop()
        return list(dict.fromkeys(texts))

    def _product(self, parts: Sequence[list[Pieces]]) -> Iterator[Pieces]:
        for chosen in itertools.product(*parts):
            yield tuple(itertools.chain.from_iterable(chosen))

    def _part(self, part: ast.expr, scope: Scope) -> list[Pieces]:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None:
                return [(Place("n" if re.search("[,dgf]", ast.unparse(part.format_spec)) else ""),)]
            if part.conversion == ord("r"):
                return [(Place("r"),)]
            return self._within(part.value, scope)
        return [(str(part.value),)] if isinstance(part, ast.Constant) else [ANY]

    def _within(self, expression: ast.expr, scope: Scope) -> list[Pieces]:
        """The texts of a part of a text: those without places stand in it, others are a place for a text."""
        texts = self._texts(expression, scope) or [ANY]
        if isinstance(expression, ast.BinOp | ast.JoinedStr):
            return texts
        if all(len(text) == 1 and isinstance(text[0], str) for text in texts):
            return [ANY] if any(_NAME.fullmatch(str(text[0])) for text in texts) else texts
        told = [text for text in texts if _is_language(text)]
        for text in told:
            self._note(text, f"{scope.module}: {ast.unparse(expression)}")
        if not told:
            return [ANY]
        return [(Place("t" if len(told) == len(texts) else "t?"),)]


def _is_language(pieces: Pieces) -> bool:
    """Whether there are words in a text, and not only names: of columns, settings, tasks, files."""
    literal = " ".join(piece for piece in pieces if isinstance(piece, str))
    return any(
        re.search("[a-zà-ỹ]{2}", word) and not _NAME.fullmatch(word) for word in re.split(r"[\s:,;/()“”…]+", literal)
    )


def _template(pieces: Pieces) -> str:
    numbers = itertools.count()
    return "".join(
        piece if isinstance(piece, str) else "{" + str(next(numbers)) + (f":{piece.kind}" if piece.kind else "") + "}"
        for piece in pieces
    )


def _is_sum(value: ast.BinOp) -> bool:
    return any(isinstance(side, ast.Constant) and isinstance(side.value, int) for side in (value.left, value.right))


def _name(expression: ast.expr) -> str:
    if isinstance(expression, ast.Name):
        return expression.id
    return expression.attr if isinstance(expression, ast.Attribute) else ""


@cache
def _locals(function: _Function) -> dict[str, list[ast.expr]]:
    """What the names of a function are given, in it and in those within it."""
    given: dict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(function):
        for name, value in _assigned(node):
            given[name].append(value)
    return given


def _is_method(function: _Function) -> bool:
    return _parameters(function)[:1] in (["self"], ["cls"])


def _parameters(function: _Function) -> list[str]:
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement, or `:=`, gives values to; those of `self` with a dot before them."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value is not None:
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Tuple | ast.List):
        pairs = [(node.target, element) for element in node.iter.elts]
    elif isinstance(node, ast.For | ast.comprehension):
        # What a loop goes through is not known, but it hides what has the same name outside.
        pairs = [(target, node.iter) for target in ast.walk(node.target) if isinstance(target, ast.Name)]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
        pairs = [(node.func.value, node.args[0])]
    for target, value in pairs:
        if isinstance(target, ast.Tuple):
            if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                for one, of_it in zip(target.elts, value.elts, strict=True):
                    yield _target(one), of_it
            elif isinstance(value, ast.IfExp):
                for branch in (value.body, value.orelse):
                    if isinstance(branch, ast.Tuple):
                        for one, of_it in zip(target.elts, branch.elts, strict=True):
                            yield _target(one), of_it
            else:
                for one in target.elts:
                    yield _target(one), ast.Subscript(value, ast.Constant(0), ast.Load())
        elif isinstance(target, ast.Name | ast.Attribute):
            yield _target(target), value


def _target(target: ast.expr) -> str:
    if isinstance(target, ast.Attribute) and _name(target.value) == "self":
        return f".{target.attr}"
    return target.id if isinstance(target, ast.Name) else "…"
