"""The command: asks for admission, stays the parent of the job and returns its exit code.

Everything imported before the job is submitted delays every job. So modules here import what they
need where they need it, and none of the slow parts of the standard library.
"""
