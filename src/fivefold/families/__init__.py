"""One folder per network family: params.py (what can be chosen), network.py (torch), module.py (Lightning)."""
