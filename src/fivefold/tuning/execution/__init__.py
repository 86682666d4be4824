"""Execution of studies: trials, storage, workers."""
