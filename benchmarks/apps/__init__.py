"""What is served: the same handlers in each of the libraries, and how a server is started."""
