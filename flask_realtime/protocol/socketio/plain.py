"""Data as JSON knows it, and the sight of it.

Most of what an application emits is plain already, which :func:`is_plain` sees at a glance. The rest goes
through a :class:`.Simplifier`, one object after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

LEAVES = frozenset((str, int, float, bool, type(None)))
"""The types of JSON that hold nothing."""

#: From here on, to have C look at all types first costs less than it saves.
_MANY = 8


def is_plain(items: Collection[Any]) -> bool:
    """Tell whether there is nothing but JSON's own types in ``items``, and strings as keys of dicts.

    This runs for every packet that is sent, so it looks at types, builds nothing and calls little.

    :raises RecursionError: where the data refers to itself.
    """
    if len(items) > _MANY and LEAVES.issuperset(map(type, items)):
        return True
    for item in items:
        kind = type(item)
        if kind in LEAVES:
            continue
        if kind is dict:
            for key, value in item.items():
                if type(key) is not str:
                    return False
                kind = type(value)
                if kind in LEAVES:
                    continue
                if not is_plain(value if kind is list else (value,)):
                    return False
        elif (kind is not list and kind is not tuple) or not is_plain(item):
            return False
    return True
