"""Several small networks of one architecture, trained at once as one tensor program."""
