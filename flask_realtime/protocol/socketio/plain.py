"""Data as JSON knows it, and the sight of it.

Most of what an application emits is plain already, which :func:`is_plain` sees at a glance. The rest goes
through a :class:`.Simplifier`, one object after the other.
"""

from __future__ import annotations

from typing import Any, Final

LEAVES: Final = frozenset((str, int, float, bool, type(None)))
"""The types of JSON that hold nothing."""

#: From here on, to have C look at all types first costs less than it saves.
_MANY: Final = 8

#: Levels that no data have that end somewhere. Counted, for compiled code has no other limit.
_ENDLESS: Final = 900


def is_plain(items: list[Any], depth: int = 0) -> bool:
    """Tell whether there is nothing but JSON's own types in ``items``, and strings as keys of dicts.

    This runs for every packet that is sent, so it looks at types, builds nothing and calls little. Each type
    is compared by itself: compiled, that takes an instruction, and looking it up in a set a hundred.

    :param depth: how many levels are around them.
    :raises RecursionError: where the data refers to itself.
    """
    if len(items) > _MANY and LEAVES.issuperset(map(type, items)):
        return True
    for item in items:
        kind = type(item)
        if kind is str or kind is int or kind is float or kind is bool or item is None:
            continue
        if kind is dict:
            mapping: dict[Any, Any] = item
            for key, value in mapping.items():
                if type(key) is not str:
                    return False
                kind = type(value)
                if kind is str or kind is int or kind is float or kind is bool or value is None:
                    continue
                if not is_plain(value if kind is list else [value], _below(depth)):
                    return False
        elif (kind is not list and kind is not tuple) or not is_plain(
            item if kind is list else [*item], _below(depth)
        ):
            return False
    return True


def _below(depth: int) -> int:
    if depth == _ENDLESS:
        raise RecursionError("data that refers to itself")
    return depth + 1
