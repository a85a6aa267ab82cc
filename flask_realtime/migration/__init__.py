"""Brings a project from Flask-SocketIO to Flask-Realtime: what is certain is rewritten, the rest is named.

Nothing of the project is imported or run.

- :mod:`.files`: which files are looked at, and as what.
- :mod:`.source`: a file as text that turns back into the very same bytes.
- :mod:`.python`: Python files.
- :mod:`.dependencies`: what the project requires.
- :mod:`.commands`: commands and configuration; what else names the package.
- :mod:`.clients`: JavaScript clients that are too old.
- :mod:`.words`: names of modules and packages.
- :mod:`.project`: looks at all of them, and plans.
- :mod:`.write`: writes what was planned.
- :mod:`.report`: the diff, the findings, JSON.
- :mod:`.finding`: what is named instead of changed.

``flask realtime migrate`` imports this when it runs; no other ``flask`` command does.
"""

from .finding import NOTE, TODO, Finding
from .project import Change, Plan, look_at
from .report import as_dict, diff, in_words, summary
from .write import write

__all__ = [
    "NOTE",
    "TODO",
    "Change",
    "Finding",
    "Plan",
    "as_dict",
    "diff",
    "in_words",
    "look_at",
    "summary",
    "write",
]
