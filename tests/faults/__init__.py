"""What is left of a change, and what its client is told, when the database fails in the middle of it."""
