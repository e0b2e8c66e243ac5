"""Teachers: what they are, and the tables they write."""
