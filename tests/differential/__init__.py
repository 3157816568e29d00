"""d1verify beside other JWT libraries, each called as its documentation shows and asked for the same checks."""
