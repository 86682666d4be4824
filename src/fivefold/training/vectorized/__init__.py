"""Training of several small networks of one architecture as one tensor program."""
