"""Real clients over real sockets against the server as an administrator runs it: `twistd duckmail`."""
