"""Areas within some steps of an area by plain loops; imports nothing of ours."""


def within(touching, i, steps):
    """Areas that can be reached in at most so many steps, ``i`` itself with them."""
    reached = {i}
    for _ in range(steps):
        reached |= {j for here in reached for j in touching[here]}
    return reached
