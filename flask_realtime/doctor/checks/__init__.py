"""The checks: each looks at the facts and yields what it finds.

- :mod:`.app`: the extension, the server, the port, the session.
- :mod:`.patching`: what waits where nothing else can run meanwhile.
- :mod:`.workers`: several processes.
- :mod:`.proxies`: a proxy in front, and its limits.
- :mod:`.origins`: ``cors_allowed_origins``.
- :mod:`.clients`: clients that are too old, or aren't there.
- :mod:`.text`: what several of them need to read and write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..finding import SEVERITIES, Finding
from ..situation import Situation
from . import app, clients, origins, patching, proxies, workers

__all__ = ["CHECKS", "Check", "diagnose"]

Check = Callable[[Situation], Iterator[Finding]]

#: in the order in which findings of one severity are shown
CHECKS: tuple[Check, ...] = (
    app.check_extension,
    app.check_two_extensions,
    app.check_run,
    patching.check_two_patchers,
    patching.check_partial_patching,
    patching.check_late_patching,
    patching.check_blocking,
    patching.check_native_drivers,
    workers.check_workers,
    origins.check_origins,
    proxies.check_proxy_fix,
    proxies.check_proxy_fix_order,
    clients.check_javascript_clients,
    clients.check_client_script,
    clients.check_python_client,
    app.check_port,
    app.check_secret_key,
    app.check_cookie_session,
    app.check_flask_run,
    proxies.check_ping,
    proxies.check_body_limit,
    patching.check_eventlet,
)


def diagnose(situation: Situation) -> list[Finding]:
    """What every check finds, the worst first."""
    found = [finding for check in CHECKS for finding in check(situation)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
