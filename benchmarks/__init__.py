"""Benchmarks: ``python -m benchmarks``. What is measured and how is in ``docs/benchmarks.md``.

``servers``, ``cells``
    the tables of what takes part and of what is measured.
``apps``, ``node``
    what is served, in each of the libraries.
``load``
    the load generator, a process of its own.
``runner``
    starts servers, has them loaded, and collects the figures in ``results``.
``tables``, ``plots``, ``report``
    show them.
``procfs``, ``machine``, ``progress``
    what Linux tells of processes, where a run takes place, how far it is.
``micro``, ``timing``
    apart from all that: single steps of the package, in one process and without sockets.
"""
