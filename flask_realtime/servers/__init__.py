"""The web servers that ``run()`` can start, all in this process, on a socket that is listening already."""
