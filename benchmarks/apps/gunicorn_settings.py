"""gunicorn's settings for the app that is measured. gunicorn ignores those that its version does not know."""

workers = 1
loglevel = "error"
wsgi_app = "benchmarks.apps.flask_app:app"
# gunicorn 25 and later have one in the user's home, which all servers of the machine would share.
control_socket_disable = True
