"""Blocks of counts whose tails are worked out side by side: one array of rows, of one number a count."""

WIDTH = 128
"""Counts of a block."""
SEEN, MEAN, R, STRENGTH, UPPER, BELOW, PMF, FOUND = (WIDTH * k for k in range(8))
"""Where the rows begin that loops share; later ones are each loop's own."""
ROWS = 26 * WIDTH
