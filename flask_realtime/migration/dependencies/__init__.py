"""What a project requires: Flask-SocketIO is replaced, what only it needed is named.

- :mod:`.requirement`: one requirement, as PEP 508 and pip write it.
- :mod:`.requirements_txt`: pip's files.
- :mod:`.toml`: where the keys and strings of a TOML file are.
- :mod:`.pyproject`: ``pyproject.toml`` and ``Pipfile``.
- :mod:`.setup_files`: ``setup.cfg`` and ``setup.py``.
- :mod:`.conda`: ``environment.yml``.
- :mod:`.unneeded`: packages that only Flask-SocketIO needed.
"""

from .conda import rewrite_conda
from .pyproject import rewrite_pipfile, rewrite_pyproject
from .requirement import Rewritten
from .requirements_txt import included_files, rewrite_requirements
from .setup_files import rewrite_setup_cfg, rewrite_setup_py

__all__ = [
    "Rewritten",
    "included_files",
    "rewrite_conda",
    "rewrite_pipfile",
    "rewrite_pyproject",
    "rewrite_requirements",
    "rewrite_setup_cfg",
    "rewrite_setup_py",
]
