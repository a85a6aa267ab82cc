"""How many instructions a message costs: ``python -m benchmarks.counting``.

Times differ from run to run and from machine to machine; the number of instructions hardly does. So a change
that makes a message dearer by a few per cent can be seen, and CI can refuse it.

- :mod:`.world`: a server and its clients in one thread, at a time that stands still.
- :mod:`.paths`: what is counted, each path checking the replies it gets.
- :mod:`.yardstick`: plain Python, which shows how dear this build of the interpreter is.
- :mod:`.counted`: the process that runs under valgrind.
- :mod:`.valgrind`: runs it, and reads what valgrind has counted.
- :mod:`.kept`: the counts in the repository, and what is said of new ones.
"""
