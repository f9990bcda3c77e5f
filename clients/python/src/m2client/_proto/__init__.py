"""The generated code. Written by clients/python/generate.py."""
