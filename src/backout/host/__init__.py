"""The only code that touches a target: sandbox, scan, steps, ledger, running checks.

Python 3.9, standard library only.
"""
