"""One account cannot reach another's data, nor find out that there is any."""
