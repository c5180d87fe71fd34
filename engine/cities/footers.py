"""The footer of a Parquet file, read without Arrow.

Arrow ends the whole process at some broken footers as soon as a column's description is looked
at. So what is checked before reading is parsed here: Thrift's compact protocol, as the Parquet
format defines it, with limits on depth and number of values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_END
from typing import IO, Any, Final

from engine.errors import CityDamagedError

MAX_FOOTER_BYTES: Final = 16 * 2**20
_MAX_DEPTH: Final = 16
_MAX_VALUES: Final = 1_000_000
_MAGIC: Final = b"PAR1"
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_INTEGERS: Final = (_I16, _I32, _I64)


@dataclass(frozen=True)
class ColumnChunk:
    """One column of one row group.

    Args:
        path: names from the top down; only the first matters for plain columns.
        num_values: values, counted through lists.
        num_bytes: unpacked.
        minimum: smallest value as stored; empty when not known.
        maximum: largest value as stored; empty when not known.
    """

    path: tuple[str, ...]
    num_values: int
    num_bytes: int
    minimum: bytes
    maximum: bytes


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read together.

    Args:
        num_rows: number of rows.
        num_bytes: of all columns, unpacked.
        columns: in stored order.
    """

    num_rows: int
    num_bytes: int
    columns: tuple[ColumnChunk, ...]


@dataclass(frozen=True)
class Footer:
    """What a Parquet file declares about itself.

    Args:
        num_rows: of all row groups.
        row_groups: in stored order.
    """

    num_rows: int
    row_groups: tuple[RowGroup, ...]


def read_footer(file: IO[bytes], where: str) -> Footer:
    """Read the footer; the file's position is at its beginning afterwards.

    Raises:
        CityDamagedError: this is no Parquet, or its footer is broken or too large.
    """
    try:
        content = _footer_bytes(file)
        root = _Reader(content).struct(0)
        footer = Footer(_whole(root[3]), tuple(_row_group(group) for group in root.get(4, ())))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CityDamagedError(
            "The table cannot be read.", f"{where}: its footer is broken", _FIX
        ) from error
    if sum(group.num_rows for group in footer.row_groups) != footer.num_rows:
        raise CityDamagedError("The table contradicts itself about its rows.", where, _FIX)
    return footer


_FIX: Final = "Restore the file, or import or simulate the city again."


def _footer_bytes(file: IO[bytes]) -> bytes:
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > min(MAX_FOOTER_BYTES, size - 12):
        raise ValueError
    file.seek(size - 8 - length)
    content = file.read(length)
    file.seek(0)
    return content


def _row_group(data: Mapping[int, Any]) -> RowGroup:
    columns = tuple(_column(chunk[3]) for chunk in data[1])
    return RowGroup(_whole(data[3]), _whole(data[2]), columns)


def _column(data: Mapping[int, Any]) -> ColumnChunk:
    statistics = data.get(12, {})
    return ColumnChunk(
        tuple(name.decode() for name in data[3]),
        _whole(data[5]),
        _whole(data[6]),
        bytes(statistics.get(6, b"")),
        bytes(statistics.get(5, b"")),
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


class _Reader:
    """A cursor over Thrift's compact protocol; structs become dicts by field number."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.offset = 0
        self.num_values = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """The fields of a struct, up to its stop byte."""
        if depth > _MAX_DEPTH:
            raise ValueError
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 0x0F
            fields[number] = kind == _TRUE if kind <= _FALSE else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - whatever is stored
        self.num_values += 1
        if self.num_values > _MAX_VALUES:
            raise ValueError
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _DOUBLE:
            return self._take(8)
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        raise ValueError  # maps do not occur in footers

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if depth > _MAX_DEPTH or count > len(self.content) - self.offset:
            raise ValueError
        return [self._value(head & 0x0F, depth) for _ in range(count)]

    def _byte(self) -> int:
        self.offset += 1
        return self.content[self.offset - 1]

    def _take(self, count: int) -> bytes:
        if count > len(self.content) - self.offset:
            raise ValueError
        self.offset += count
        return self.content[self.offset - count : self.offset]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
