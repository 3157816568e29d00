"""What a release is made of, and how it behaves under the interpreter's options."""
