"""What ``import paramtool`` offers: each command as a function of its name.

Each takes anything that `models.given` opens, asks the model, lets an operation work on the answers, and
returns a report.  The command line calls the same functions.
"""
