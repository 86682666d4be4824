"""Text that goes on where a prompt ends, from a model that tells the next token."""
