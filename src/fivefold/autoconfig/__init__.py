"""`fivefold add`: infers a dataset block and a model block from a source."""
