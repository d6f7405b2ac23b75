"""Queries of an episode: "evidence of door > 0.3", "attention[key] > 0.5 and action == 'pickup'".

The text is parsed by Python's own grammar and walked by a reader of a dozen kinds of nodes, each
worked out over all steps at once: nothing of it is ever run as code.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from attention_agents.recording.query.columns import COLUMNS, EmptyColumns, EpisodeColumns

MAX_LENGTH = 500
"""Characters of a question."""
MAX_DEPTH = 30
"""Brackets within brackets."""

SUBSCRIPTED = {
    "evidence": "signed share of all absolute evidence on the tokens that a word means, -1 to 1, "
    "above 0 for what was done: evidence of door, evidence['car 1']",
    "attention": "weight on all tokens that a word means: attention[key], attention['car 1']",
    "present": "how many tokens a word means: present[key] > 0",
    "policy": "probability, Q value or mean of an action: policy['pickup']",
}
QUOTES = ("'", '"')
_TEXT = r"'[^']*'" + r'|"[^"]*"'
_QUOTED_OR_OF = re.compile(rf"(?P<column>evidence|attention)\s+of\s+(?P<word>{_TEXT}|\w+)|{_TEXT}")
"""A quoted text, which stays as it is, or a column and the word that it is asked of."""
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
    words = {name: column.help for name, column in COLUMNS.items()} | SUBSCRIPTED | FUNCTIONS
    return "\n".join(f"{word:12} {help}" for word, help in words.items())


def parse_query(question: str) -> ast.expr:
    """Read a question by Python's grammar, without running anything of it.

    Raises:
        ValueError: it is too long, or no expression.
    """
    if len(question) > MAX_LENGTH:
        raise ValueError(f"a question has at most {MAX_LENGTH} characters, got {len(question)}")
    try:
        return ast.parse(_subscript(question.strip()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise ValueError(f"cannot read the question {question!r}: {reason}") from error


def _subscript(question: str) -> str:
    """Write "evidence of door" as "evidence['door']", outside of quotes; of attention likewise."""
    pieces = _QUOTED_OR_OF.finditer(question)
    parts, end = [], 0
    for piece in pieces:
        parts.append(question[end : piece.start()])
        column, word = piece["column"], piece["word"]
        if column is None:
            parts.append(piece[0])
        else:
            parts.append(f"{column}[{word if word[0] in QUOTES else repr(word)}]")
        end = piece.end()
    return "".join([*parts, question[end:]])


def check_query(question: str) -> None:
    """Refuse a query that fits no episode, whatever its tokens and actions are.

    Raises:
        ValueError: the text is no question, or holds a word that is neither a column nor a token's
            or an action's.
    """
    _evaluate_query(question, EmptyColumns())


def matching_steps(question: str, columns: EpisodeColumns) -> np.ndarray:
    """Return the steps at which a query is true, ascending.

    A comparison with NaN is false, so that a step with an unknown number never matches.

    Args:
        question: comparisons of columns joined by and, or, not, such as "reward > 0".
        columns: of an episode.

    Raises:
        ValueError: the text is no question, or names what is not there; the message says what.
    """
    return np.flatnonzero(_evaluate_query(question, columns))


def _evaluate_query(question: str, columns: EpisodeColumns | EmptyColumns) -> np.ndarray:
    """Return the answer to a question at each step, (T,) bool."""
    tree = parse_query(question)
    with np.errstate(all="ignore"):
        answer = ExpressionEvaluator(columns).evaluate(tree, 0)
    if answer.dtype != bool:
        raise ValueError(
            f"{question!r} is not answered by yes or no; compare, such as 'reward > 0'"
        )
    return answer


class ExpressionEvaluator:
    """Evaluate one expression, node by node, as arrays (T,)."""

    def __init__(self, columns: EpisodeColumns | EmptyColumns):
        self.columns = columns
        self.T = columns.steps

    def evaluate(self, node: ast.expr, depth: int) -> np.ndarray:
        if depth > MAX_DEPTH:
            raise ValueError(f"a question has at most {MAX_DEPTH} brackets within brackets")
        readers: dict[type, Callable[[Any, int], np.ndarray]] = {
            ast.Constant: self._eval_constant,
            ast.Name: self._eval_column,
            ast.Subscript: self._eval_subscript,
            ast.Call: self._eval_call,
            ast.BoolOp: self._eval_bool_op,
            ast.UnaryOp: self._eval_unary_op,
            ast.BinOp: self._eval_arithmetic,
            ast.Compare: self._eval_comparison,
        }
        if type(node) not in readers:
            raise ValueError(f"a question cannot hold {ast.unparse(node)!r}")
        return readers[type(node)](node, depth + 1)

    def _eval_constant(self, node: ast.Constant, depth: int) -> np.ndarray:
        if not isinstance(node.value, (bool, int, float, str)):
            raise ValueError(f"a question cannot hold {node.value!r}")
        return np.full(self.T, _column_value(node.value))

    def _eval_column(self, node: ast.Name, depth: int) -> np.ndarray:
        if node.id in SUBSCRIPTED:
            raise ValueError(f"say of what: {SUBSCRIPTED[node.id].split(': ')[-1]}")
        if node.id not in COLUMNS:
            raise _unknown_word(node.id, (*COLUMNS, *SUBSCRIPTED))
        return self.columns[node.id]

    def _eval_subscript(self, node: ast.Subscript, depth: int) -> np.ndarray:
        column, subscript = node.value, node.slice
        if not isinstance(column, ast.Name) or column.id not in SUBSCRIPTED:
            raise _unknown_word(ast.unparse(column), tuple(SUBSCRIPTED))
        if isinstance(subscript, ast.Constant) and isinstance(subscript.value, str):
            word = subscript.value
        elif isinstance(subscript, ast.Name):
            word = subscript.id
        elif isinstance(subscript, ast.Constant) and type(subscript.value) is int:
            word = str(subscript.value)
        else:
            raise ValueError(
                f"put {ast.unparse(subscript)!r} in quotes, such as {column.id}['key']"
            )
        return getattr(self.columns, column.id)(word)

    def _eval_call(self, node: ast.Call, depth: int) -> np.ndarray:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            raise _unknown_word(ast.unparse(node.func), tuple(FUNCTIONS))
        if len(node.args) != 1 or node.keywords:
            raise ValueError(f"{node.func.id} takes one thing, got {ast.unparse(node)!r}")
        inner = self.evaluate(node.args[0], depth)
        if node.func.id == "abs":
            return np.abs(_as_numbers(inner, node.args[0]))
        return _shift_steps(inner, 1 if node.func.id == "previous" else -1)

    def _eval_bool_op(self, node: ast.BoolOp, depth: int) -> np.ndarray:
        parts = [_as_truths(self.evaluate(part, depth), part) for part in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce(parts)

    def _eval_unary_op(self, node: ast.UnaryOp, depth: int) -> np.ndarray:
        inner = self.evaluate(node.operand, depth)
        if isinstance(node.op, ast.Not):
            return ~_as_truths(inner, node.operand)
        if isinstance(node.op, ast.USub):
            return -_as_numbers(inner, node.operand)
        raise ValueError(f"a question cannot hold {ast.unparse(node)!r}")

    def _eval_arithmetic(self, node: ast.BinOp, depth: int) -> np.ndarray:
        if type(node.op) not in _ARITHMETIC:
            raise ValueError(f"a question cannot hold {ast.unparse(node)!r}: use + - * /")
        first = _as_numbers(self.evaluate(node.left, depth), node.left)
        second = _as_numbers(self.evaluate(node.right, depth), node.right)
        return _ARITHMETIC[type(node.op)](first, second)

    def _eval_comparison(self, node: ast.Compare, depth: int) -> np.ndarray:
        operands = [node.left, *node.comparators]
        values = [self.evaluate(operand, depth) for operand in operands]
        answer = np.ones(self.T, bool)
        for i, op in enumerate(node.ops):
            if type(op) not in _COMPARE:
                raise ValueError(
                    f"a question cannot hold {ast.unparse(node)!r}: use < <= == != > >="
                )
            self._check_comparable(operands[i : i + 2], values[i : i + 2])
            answer &= _COMPARE[type(op)](values[i], values[i + 1])
        return answer

    def _check_comparable(self, nodes: list[ast.expr], values: list[np.ndarray]) -> None:
        texts = [value.dtype.kind == "U" for value in values]
        if texts[0] != texts[1]:
            first, second = map(ast.unparse, nodes)
            raise ValueError(f"{first} and {second} do not compare: one is text, one a number")
        actions = self.columns.actions
        if not texts[0] or actions is None:
            return
        for node in nodes:
            if isinstance(node, ast.Constant) and node.value not in actions:
                raise _unknown_word(node.value, actions, "action")


def _column_value(value: bool | int | float | str) -> bool | float | str:
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


def _shift_steps(values: np.ndarray, steps: int) -> np.ndarray:
    """Shift a column in time; where there is nothing before or after, it is NaN, "" or False."""
    empty = {"f": np.nan, "U": "", "b": False}[values.dtype.kind]
    moved = np.full_like(values, empty)
    if steps > 0:
        moved[steps:] = values[:-steps]
    else:
        moved[:steps] = values[-steps:]
    return moved


def _as_numbers(values: np.ndarray, node: ast.expr) -> np.ndarray:
    if values.dtype.kind == "U":
        raise ValueError(f"{ast.unparse(node)} is text, and a number is needed")
    return values.astype(np.float64)


def _as_truths(values: np.ndarray, node: ast.expr) -> np.ndarray:
    if values.dtype != bool:
        raise ValueError(f"{ast.unparse(node)} is not yes or no; compare it, such as '> 0'")
    return values


def _unknown_word(word: Any, valid: tuple[str, ...], kind: str = "word") -> ValueError:
    close = difflib.get_close_matches(str(word), valid, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return ValueError(f"unknown {kind} {word!r}: {meant}known are {', '.join(valid)}")
