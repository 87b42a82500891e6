"""
The benchmark: ``make bench`` measures the installed program beside its budgets and its peer, and prints one table.

Every measurement is a module with one function, listed in `bench.__main__`. Each starts programs as a user would,
checks that they did the work, and gives `bench.figure.Figure` objects.
"""
