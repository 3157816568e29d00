"""Coverage-guided fuzzing of everything that reads what somebody else wrote: `python -m tests.fuzz`.

A harness is one module in `harnesses`: its `check(data)` puts the bytes before one reader and
compares what comes out with `oracles`, second implementations of the same rules that share no
code with the package. It needs no fuzzer: the suite runs every harness over its seeds and its
corpus, and atheris, where it is installed, makes up the rest.
"""
