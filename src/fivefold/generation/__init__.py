"""`fivefold generate`: text from a language model, records from a generator."""
