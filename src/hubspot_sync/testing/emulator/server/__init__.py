"""How it answers: the HTTP server, the routes, and the control path."""
