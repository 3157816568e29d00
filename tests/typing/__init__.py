"""What the public API promises to a type checker.

The positive cases run as tests; `assert_type` holds their types. The negative ones stand
in functions that nobody calls, each line with the error that mypy has to find there: in
strict mode an ignore that is not needed is an error itself. Pyright reads the same files.
"""
