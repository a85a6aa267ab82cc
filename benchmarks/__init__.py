"""Benchmarks: ``python -m benchmarks``. What is measured and how is in ``README.md``.

``micro``, ``timing``
    single steps, in one process and without sockets.
``server``
    whole servers: starts them, has them loaded, collects the figures.
``app``, ``gunicorn_settings``, ``load``, ``procfs``
    its parts: what is served, the load generator, what Linux tells of a process.
"""
