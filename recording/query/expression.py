"""Questions to an episode: "attention[key] > 0.5 and action == 'pickup'".

The text is parsed by Python's own grammar and walked by a reader of a dozen kinds of nodes, each
worked out over all steps at once: nothing of it is ever run as code.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from attention_agents.recording.query.columns import EmptyColumns, EpisodeColumns

LONGEST = 500
"""Characters of a question."""
DEEPEST = 30
"""Brackets within brackets."""

SUBSCRIPTED = {
    "attention": "weight on all tokens that a word means: attention[key], attention['car 1']",
    "present": "how many tokens a word means: present[key] > 0",
    "policy": "probability, Q value or mean of an action: policy['pickup']",
}
FUNCTIONS = {
    "abs": "size of a number",
    "previous": "a column one step before: previous(action) == 'pickup'",
    "next": "a column one step later",
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
}


def describe_words() -> str:
    """Return what a question may name, a line each."""
    words = {**EpisodeColumns.HELP, **SUBSCRIPTED, **FUNCTIONS}
    return "\n".join(f"{word:12} {help}" for word, help in words.items())


def parse_query(question: str) -> ast.expr:
    """Read a question by Python's grammar, without running anything of it.

    Raises:
        ValueError: it is too long, or no expression.
    """
    if len(question) > LONGEST:
        raise ValueError(f"a question has at most {LONGEST} characters, got {len(question)}")
    try:
        return ast.parse(question.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise ValueError(f"cannot read the question {question!r}: {reason}") from error


def check_query(question: str) -> None:
    """Refuse what can be asked of no episode, whatever its tokens and actions are.

    Raises:
        ValueError: the text is no question, or holds a word that is neither a column nor a token's
            or an action's.
    """
    _answers(question, EmptyColumns())


def matching_steps(question: str, columns: EpisodeColumns) -> np.ndarray:
    """Return at which steps a question is answered with yes, ascending.

    Numbers compare with NaN as false, so that a step of which the policy did not say never matches.

    Args:
        question: comparisons of columns joined by and, or, not, such as "reward > 0".
        columns: of an episode.

    Raises:
        ValueError: the text is no question, or names what is not there; the message says what.
    """
    return np.flatnonzero(_answers(question, columns))


def _answers(question: str, columns: EpisodeColumns | EmptyColumns) -> np.ndarray:
    """Return the answer to a question at each step, (T,) bool."""
    tree = parse_query(question)
    with np.errstate(all="ignore"):
        answer = _Walk(columns).value(tree, 0)
    if answer.dtype != bool:
        raise ValueError(
            f"{question!r} is not answered by yes or no; compare, such as 'reward > 0'"
        )
    return answer


class _Walk:
    """Works out one expression, node by node, as arrays (T,)."""

    def __init__(self, columns: EpisodeColumns | EmptyColumns):
        self.columns = columns
        self.T = columns.steps

    def value(self, node: ast.expr, depth: int) -> np.ndarray:
        if depth > DEEPEST:
            raise ValueError(f"a question has at most {DEEPEST} brackets within brackets")
        readers: dict[type, Callable[[Any, int], np.ndarray]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Subscript: self._subscript,
            ast.Call: self._call,
            ast.BoolOp: self._joined,
            ast.UnaryOp: self._signed,
            ast.BinOp: self._arithmetic,
            ast.Compare: self._compared,
        }
        if type(node) not in readers:
            raise ValueError(f"a question cannot hold {ast.unparse(node)!r}")
        return readers[type(node)](node, depth + 1)

    def _constant(self, node: ast.Constant, depth: int) -> np.ndarray:
        if not isinstance(node.value, (bool, int, float, str)):
            raise ValueError(f"a question cannot hold {node.value!r}")
        return np.full(self.T, _plain(node.value))

    def _name(self, node: ast.Name, depth: int) -> np.ndarray:
        if node.id in SUBSCRIPTED:
            raise ValueError(f"say of what: {SUBSCRIPTED[node.id].split(': ')[-1]}")
        if node.id not in EpisodeColumns.HELP:
            raise _unknown(node.id, (*EpisodeColumns.HELP, *SUBSCRIPTED))
        return self.columns[node.id]

    def _subscript(self, node: ast.Subscript, depth: int) -> np.ndarray:
        column, what = node.value, node.slice
        if not isinstance(column, ast.Name) or column.id not in SUBSCRIPTED:
            raise _unknown(ast.unparse(column), tuple(SUBSCRIPTED))
        if isinstance(what, ast.Constant) and isinstance(what.value, str):
            word = what.value
        elif isinstance(what, ast.Name):
            word = what.id
        elif isinstance(what, ast.Constant) and type(what.value) is int:
            word = str(what.value)
        else:
            raise ValueError(f"put {ast.unparse(what)!r} in quotes, such as {column.id}['key']")
        if column.id == "policy":
            return self.columns.choice(word)
        return getattr(self.columns, column.id)(word)

    def _call(self, node: ast.Call, depth: int) -> np.ndarray:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            raise _unknown(ast.unparse(node.func), tuple(FUNCTIONS))
        if len(node.args) != 1 or node.keywords:
            raise ValueError(f"{node.func.id} takes one thing, got {ast.unparse(node)!r}")
        inner = self.value(node.args[0], depth)
        if node.func.id == "abs":
            return np.abs(_number(inner, node.args[0]))
        return _moved(inner, 1 if node.func.id == "previous" else -1)

    def _joined(self, node: ast.BoolOp, depth: int) -> np.ndarray:
        parts = [_answer(self.value(each, depth), each) for each in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce(parts)

    def _signed(self, node: ast.UnaryOp, depth: int) -> np.ndarray:
        inner = self.value(node.operand, depth)
        if isinstance(node.op, ast.Not):
            return ~_answer(inner, node.operand)
        if isinstance(node.op, ast.USub):
            return -_number(inner, node.operand)
        raise ValueError(f"a question cannot hold {ast.unparse(node)!r}")

    def _arithmetic(self, node: ast.BinOp, depth: int) -> np.ndarray:
        if type(node.op) not in _ARITHMETIC:
            raise ValueError(f"a question cannot hold {ast.unparse(node)!r}: use + - * /")
        left = _number(self.value(node.left, depth), node.left)
        right = _number(self.value(node.right, depth), node.right)
        return _ARITHMETIC[type(node.op)](left, right)

    def _compared(self, node: ast.Compare, depth: int) -> np.ndarray:
        operands = [node.left, *node.comparators]
        values = [self.value(each, depth) for each in operands]
        answer = np.ones(self.T, bool)
        for i, op in enumerate(node.ops):
            if type(op) not in _COMPARE:
                raise ValueError(
                    f"a question cannot hold {ast.unparse(node)!r}: use < <= == != > >="
                )
            self._check_pair(operands[i : i + 2], values[i : i + 2])
            answer &= _COMPARE[type(op)](values[i], values[i + 1])
        return answer

    def _check_pair(self, nodes: list[ast.expr], values: list[np.ndarray]) -> None:
        texts = [value.dtype.kind == "U" for value in values]
        if texts[0] != texts[1]:
            left, right = map(ast.unparse, nodes)
            raise ValueError(f"{left} and {right} do not compare: one is text, one a number")
        known = self.columns.actions
        if not texts[0] or known is None:
            return
        for node in nodes:
            if isinstance(node, ast.Constant) and node.value not in known:
                raise _unknown(node.value, known, "action")


def _plain(value: bool | int | float | str) -> bool | float | str:
    """Return a constant as a column holds it.

    Raises:
        ValueError: it is a whole number larger than a float can be.
    """
    if isinstance(value, (bool, str)):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"a number in a question is below 1.8e308, got one of {len(str(value))} digits"
        ) from None


def _moved(values: np.ndarray, steps: int) -> np.ndarray:
    """Shift a column in time; where there is nothing before or after, it is NaN, "" or False."""
    empty = {"f": np.nan, "U": "", "b": False}[values.dtype.kind]
    moved = np.full_like(values, empty)
    if steps > 0:
        moved[steps:] = values[:-steps]
    else:
        moved[:steps] = values[-steps:]
    return moved


def _number(values: np.ndarray, node: ast.expr) -> np.ndarray:
    if values.dtype.kind == "U":
        raise ValueError(f"{ast.unparse(node)} is text, and a number is needed")
    return values.astype(np.float64)


def _answer(values: np.ndarray, node: ast.expr) -> np.ndarray:
    if values.dtype != bool:
        raise ValueError(f"{ast.unparse(node)} is not yes or no; compare it, such as '> 0'")
    return values


def _unknown(word: Any, known: tuple[str, ...], what: str = "word") -> ValueError:
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return ValueError(f"unknown {what} {word!r}: {meant}known are {', '.join(known)}")
