"""Between a web server and the engine.

- :mod:`.http`: what a request means and what a reply looks like, without any server.
- :mod:`.cors`: origins.
- :mod:`.wsgi`: the WSGI middleware.
"""
