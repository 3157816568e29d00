"""The attack catalogue, row by row: a test's name or a case's id begins with the row's id."""
