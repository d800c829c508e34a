"""Neighbours by brute force; imports nothing of ours."""

import math


def cell_neighbors(owner, rook):
    """Return the pairs of owners of which two cells share a side, or for queen a corner."""
    steps = [(0, 1), (1, 0)] if rook else [(0, 1), (1, 0), (1, 1), (1, -1)]
    pairs = set()
    for r in range(len(owner)):
        for c in range(len(owner[0])):
            for down, right in steps:
                if 0 <= r + down < len(owner) and 0 <= c + right < len(owner[0]):
                    one, other = owner[r][c], owner[r + down][c + right]
                    if one >= 0 and other >= 0 and one != other:
                        pairs |= {(one, other), (other, one)}
    return pairs


def within_reach(shapes, tolerance):
    """Return the pairs of positions of shapes no further apart than the tolerance."""
    return {
        (i, j)
        for i, one in enumerate(shapes)
        for j, other in enumerate(shapes)
        if i != j and one.distance(other) <= tolerance
    }


def vertices(nested):
    """Return the set of points in nested coordinates, as GeoJSON has them: parts, rings, points."""
    if isinstance(nested[0], (int, float)):
        return {tuple(nested)}
    return set().union(*map(vertices, nested))


def vertex_neighbors(shapes):
    """Return the pairs of positions of shapes that have a vertex in common."""
    points = [vertices(shape.__geo_interface__["coordinates"]) for shape in shapes]
    n = len(points)
    return {(i, j) for i in range(n) for j in range(n) if i != j and points[i] & points[j]}


def distances(points):
    """Return all distances as a list of lists."""
    return [[math.dist(one, other) for other in points] for one in points]


def nearest_distances(points, k):
    """Return the k smallest distances of each point to the others, sorted."""
    table = distances(points)
    return [sorted(row[j] for j in range(len(points)) if j != i)[:k] for i, row in enumerate(table)]


def band(points, threshold, alpha=None):
    """Return {(i, j): weight} of a distance band."""
    table = distances(points)
    n = len(points)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and table[i][j] <= threshold]
    if alpha is None:
        return dict.fromkeys(pairs, 1.0)
    apart = [table[i][j] for i, j in pairs if table[i][j] > 0]
    floor = min(apart) if apart else 1.0
    return {(i, j): max(table[i][j], floor) ** alpha for i, j in pairs}


def kernel_weight(name, z):
    """Return the weight at z bandwidths."""
    if z > 1:
        return 0.0
    return {
        "triangular": 1 - z,
        "parabolic": 3 / 4 * (1 - z * z),
        "gaussian": math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
        "bisquare": 15 / 16 * (1 - z * z) * (1 - z * z),
        "cosine": math.pi / 4 * math.cos(math.pi * z / 2),
        "exponential": math.exp(-z),
        "boxcar": 1.0 if z < 1 else 0.0,
    }[name]


def kernel(points, name, bandwidth):
    """Return {(i, j): weight} of a kernel."""
    table = distances(points)
    n = len(points)
    weights = {
        (i, j): kernel_weight(name, table[i][j] / bandwidth) for i in range(n) for j in range(n) if i != j
    }
    return {pair: weight for pair, weight in weights.items() if weight > 1e-12}


def dense(links, codes):
    """Return a matrix in the order of the codes from (focal, neighbor, weight) links."""
    at = {code: position for position, code in enumerate(codes)}
    matrix = [[0.0] * len(codes) for _ in codes]
    for focal, neighbor, weight in links:
        matrix[at[focal]][at[neighbor]] = weight
    return matrix
