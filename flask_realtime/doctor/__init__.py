"""What is wrong with an app's setup: the facts are collected once, then each check looks at them.

Nothing is started and nobody is connected to. The only thing that is tried is
whether the port can be had, and it is given back at once.

- :mod:`.situation`: the facts, as the checks get them.
- :mod:`.facts`: collects them: the app, versions, the server, the port.
- :mod:`.patches`: what monkey-patching has replaced, and what it has missed.
- :mod:`.files`: what the project's files say of clients and workers.
- :mod:`.javascript`: the clients that pages, scripts and ``package.json`` name.
- :mod:`.finding`: what a check yields.
- :mod:`.checks`: the checks, and the order of what they find.

``flask realtime doctor`` imports this when it runs; no other ``flask`` command does.
"""

from .checks import diagnose
from .checks.origins import in_words
from .facts import FRAMEWORK, SERVERS, examine
from .finding import Finding
from .situation import ClientCopy, Endpoint, Situation

__all__ = [
    "FRAMEWORK",
    "SERVERS",
    "ClientCopy",
    "Endpoint",
    "Finding",
    "Situation",
    "diagnose",
    "examine",
    "in_words",
]
