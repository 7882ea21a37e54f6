"""One file a command (or a group of them): what it takes, its help, and what it does."""
