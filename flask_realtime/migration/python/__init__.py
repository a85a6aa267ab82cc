"""Python files: what is rewritten, and what is named.

- :mod:`.module`: a parsed file, and what its imports bind.
- :mod:`.imports`: the imports, and the name that they bind.
- :mod:`.strings`: the module's name in strings.
- :mod:`.usage`: what works otherwise, or not at all.
- :mod:`.options`: the options of ``SocketIO`` and ``init_app``.
- :mod:`.peers`: python-socketio and python-engineio beside it.
"""

from .imports import rewrite
from .module import Module, parse
from .usage import find_trust_in_proxies, find_usage

__all__ = ["Module", "find_trust_in_proxies", "find_usage", "parse", "rewrite"]
