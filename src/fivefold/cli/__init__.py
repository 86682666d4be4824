"""The command line, on top of the package: commands parse options, call one function and print."""
