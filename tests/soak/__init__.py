"""The soak: four real workers under load for half an hour, with keys that rotate and a key server that fails.

`python -m tests.soak` is the whole, `--seconds 60` its short form; `python -m tests.soak.planted`
shows that it notices what it is there to notice.
"""
