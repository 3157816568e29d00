"""Mutation testing of the modules that decide about tokens: `python -m tests.mutation`.

mutmut changes one operator, number, text, argument or keyword at a time and runs the tests
that reach the function; a change that no test notices is a survivor. All happens in a copy in
a temporary folder. A survivor is either killed by a better test or stands in `survivors`
with the reason why nobody can tell it from the original.

What is changed: the bodies and simple defaults of functions and methods, decorated ones too
(the copy writes their decorators as calls), and the numbers, texts and signs of module
constants, by `constants`.

What is not: annotations, docstrings, class bodies other than methods (`__slots__`, bases), the
arguments of `len` and `isinstance`, `__new__` and `__setattr__`, defaults that are no plain
name, number or text, and imports.
"""
