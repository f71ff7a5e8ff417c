"""What the fleet costs and whether it lasts, measured.

Every figure comes from one run on one machine, both sides of a comparison in turns, so that a ratio holds where a
number does not. Servers and load are real processes on 127.0.0.1, started by the end-to-end tests' own harness; every
answer is checked. Nothing of the fleet imports this package.
"""
