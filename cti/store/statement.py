"""SQLAlchemy Core statements made ready for sqlite3: compiled once, then only text and a tuple of values.

Executing through SQLAlchemy costs hundreds of microseconds a row (reference: performance, part 4); here a statement is
compiled at first use for its set of parameter names and kept, bounded, by identity: build statements at module level.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Executable, Float, Row, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.result import result_tuple
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = sqlite.dialect(paramstyle="qmark")
_KEPT = 1024

Values = tuple[Any, ...]
Processor = Callable[[Any], Any]
Reader = Callable[[Mapping[str, Any]], Any]


class Prepared:
    """One statement for one set of parameter names."""

    __slots__ = ("_compiled", "_is_expanding", "_make_row", "_processors", "_values", "sql")

    def __init__(self, statement: Executable, names: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=_DIALECT, column_keys=list(names) or None)  # type: ignore[attr-defined]
        self._compiled: SQLCompiler = compiled
        self.sql = str(compiled)
        self._is_expanding = any(bind.expanding or bind.literal_execute for bind in compiled.binds.values())
        self._values = _values_reader(compiled, frozenset(names))
        self._make_row: Callable[[Values], Row[Any]] | None = None
        self._processors: tuple[tuple[int, Processor], ...] = ()
        if isinstance(statement, Select):
            self._make_row, self._processors = _row_maker(statement)

    def bind(self, parameters: Mapping[str, Any]) -> tuple[str, Values]:
        """The text and the values in its order. Raises KeyError for a parameter that is missing."""
        if self._is_expanding:
            return self._expand(parameters)
        return self.sql, self._values(parameters)

    def rows(self, found: Sequence[Values]) -> Sequence[Row[Any]]:
        """What sqlite3 found, as SQLAlchemy rows of Python's types."""
        make = self._make_row
        if make is None:
            return []
        if self._processors:
            return [make(self._processed(values)) for values in found]
        return [make(values) for values in found]

    def _processed(self, values: Values) -> Values:
        changed = list(values)
        for place, process in self._processors:
            changed[place] = process(changed[place])
        return tuple(changed)

    def _expand(self, parameters: Mapping[str, Any]) -> tuple[str, Values]:
        # An IN with a list: the text depends on the length of the list.
        state = self._compiled.construct_expanded_state(dict(parameters))
        values = [
            state.processors[name](state.parameters[name]) if name in state.processors else state.parameters[name]
            for name in state.positiontup or ()
        ]
        return state.statement, tuple(values)


class StatementBook:
    """The statements seen so far. Not for two threads at once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Executable, tuple[str, ...]], Prepared] = {}

    def find(self, statement: Executable, names: tuple[str, ...]) -> Prepared:
        """The statement made ready for these parameter names."""
        prepared = self._kept.get((statement, names))
        if prepared is None:
            prepared = self._kept[statement, names] = Prepared(statement, names)
            if len(self._kept) > _KEPT:
                # Statements built afresh for every use; the oldest goes, and the next use compiles again.
                del self._kept[next(iter(self._kept))]
        return prepared


def _values_reader(compiled: SQLCompiler, names: frozenset[str]) -> Callable[[Mapping[str, Any]], Values]:
    order = tuple(compiled.positiontup or ())
    if len(order) > 1 and names.issuperset(order):
        return _given_reader(order, [_bind_processor(compiled.binds[name]) for name in order])
    readers = tuple(_reader(compiled, name, name in names) for name in order)

    def read(parameters: Mapping[str, Any]) -> Values:
        return tuple([reader(parameters) for reader in readers])

    return read


def _given_reader(order: Values, processors: Sequence[Processor | None]) -> Callable[[Mapping[str, Any]], Values]:
    """The hot path: every value is in the parameters, few need changing."""
    take = itemgetter(*order)
    changes = [(place, process) for place, process in enumerate(processors) if process is not None]
    if not changes:
        return take

    def read(parameters: Mapping[str, Any]) -> Values:
        values = list(take(parameters))
        for place, process in changes:
            values[place] = process(values[place])
        return tuple(values)

    return read


def _reader(compiled: SQLCompiler, name: str, is_given: bool) -> Reader:
    bind = compiled.binds[name]
    process = _bind_processor(bind)
    take: Reader = itemgetter(name) if is_given else _default_reader(compiled, name, bind)
    if process is None:
        return take
    return lambda parameters: process(take(parameters))


def _default_reader(compiled: SQLCompiler, name: str, bind: BindParameter[Any]) -> Reader:
    for column in (*compiled.insert_prefetch, *compiled.update_prefetch):
        default = column.default if compiled.isinsert else column.onupdate
        if column.key == name and default is not None:
            return _constant_reader(default.arg)  # type: ignore[attr-defined]
    if bind.required:
        return itemgetter(name)
    return lambda parameters: bind.effective_value


def _constant_reader(value: Any) -> Reader:
    # SQLAlchemy wraps a callable default so that it takes an execution context, which we have none of.
    return (lambda parameters: value(None)) if callable(value) else (lambda parameters: value)


def _bind_processor(bind: BindParameter[Any]) -> Processor | None:
    if isinstance(bind.type, Float) and not bind.type.asdecimal:
        # SQLAlchemy would call float() on every value; sqlite3 and the column's affinity do what is needed.
        return None
    return bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _row_maker(
    statement: Select[Any],
) -> tuple[Callable[[Values], Row[Any]], tuple[tuple[int, Processor], ...]]:
    columns = list(statement.selected_columns)
    make = result_tuple([str(column.key) for column in columns], [(column,) for column in columns])
    processors = []
    for place, column in enumerate(columns):
        process = column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
        if process is not None:
            processors.append((place, process))
    return make, tuple(processors)
