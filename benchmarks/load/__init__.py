"""The load generator: ``python -m benchmarks.load PROGRAM SETTINGS``, a process beside the server's.

It has to be lighter than any server that it measures, and to notice any mistake of theirs:

``wire``
    the bytes of requests and frames.
``streams``
    what a client sends, and what it must receive in return, built beforehand as bytes.
``checking``
    compares what is received with it, whole batches at a time.
``loop``, ``websocket``, ``polling``
    the event loop and its connections.
``metering``
    what the server, the generator and everybody else took meanwhile.
``programs``
    what is done with all that; a program for each kind of cell.

Nothing of the package is used here, so that an error of its codecs can't hide itself, and nothing but the
standard library.
"""
