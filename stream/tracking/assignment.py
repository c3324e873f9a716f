"""Who goes with whom: the assignment of rows to columns with the largest sum of similarities.

Pairs below a threshold cannot be assigned, and in a frame of a video nearly all are: what is left
falls into small groups that share no row and no column. Most groups are a single pair; the others
are solved exactly, by the Hungarian method on the group alone.

Source: H. W. Kuhn, "The Hungarian method for the assignment problem" (1955), in the form of
successive shortest augmenting paths with potentials.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pairs = list[tuple[int, int]]


def assign(similarity: NDArray[np.float64], least: float) -> Pairs:
    """Return pairs (row, column), each row and column once, whose similarities sum up highest.

    Args:
        similarity: (R, C) finite numbers.
        least: Pairs of less are never made.
    """
    if not similarity.size:
        return []
    rows, columns = np.nonzero(similarity >= least)
    pairs: Pairs = []
    for group_rows, group_columns in _groups(rows.tolist(), columns.tolist()):
        if len(group_rows) == 1 and len(group_columns) == 1:
            pairs.append((group_rows[0], group_columns[0]))
        else:
            part = similarity[np.ix_(group_rows, group_columns)]
            pairs += [
                (group_rows[row], group_columns[column]) for row, column in _solve(part, least)
            ]
    return pairs


def _groups(rows: list[int], columns: list[int]) -> list[tuple[list[int], list[int]]]:
    """Return the rows and columns of each connected group of the pairs ``rows[i], columns[i]``."""
    parent: dict[int, int] = {}

    def find(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for row, column in zip(rows, columns, strict=True):
        parent[find(row)] = find(~column)  # columns are the negative nodes
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for node in parent:
        members = groups.setdefault(find(node), ([], []))
        if node >= 0:
            members[0].append(node)
        else:
            members[1].append(~node)
    return list(groups.values())


def _solve(similarity: NDArray[np.float64], least: float) -> Pairs:
    """Return the best pairs of one group; a pair below ``least`` is worth no more than none."""
    is_wide = similarity.shape[0] <= similarity.shape[1]
    table = similarity if is_wide else similarity.T
    # What may not be paired costs nothing, as staying alone does.
    costs = np.where(table >= least, -table, 0.0).tolist()
    pairs = [
        (row, column)
        for row, column in enumerate(_columns_of(costs))
        if table[row, column] >= least
    ]
    return pairs if is_wide else [(column, row) for row, column in pairs]


def _columns_of(costs: list[list[float]]) -> list[int]:
    """Return the cheapest assignment's column of each row; there are as many columns or more."""
    row_count, column_count = len(costs), len(costs[0])
    # Row and column 0 stand for "none"; the numbers of the real ones begin at 1.
    row_potential = [0.0] * (row_count + 1)
    column_potential = [0.0] * (column_count + 1)
    row_of = [0] * (column_count + 1)
    for row in range(1, row_count + 1):
        row_of[0] = row
        _augment(costs, row_potential, column_potential, row_of)
    columns = [0] * row_count
    for column in range(1, column_count + 1):
        if row_of[column]:
            columns[row_of[column] - 1] = column - 1
    return columns


def _augment(
    costs: list[list[float]],
    row_potential: list[float],
    column_potential: list[float],
    row_of: list[int],
) -> None:
    """Find the cheapest path from the row at column 0 to a free column, and turn it round."""
    column_count = len(column_potential) - 1
    slack = [math.inf] * (column_count + 1)
    came_from = [0] * (column_count + 1)
    is_reached = [False] * (column_count + 1)
    column = 0
    while True:
        is_reached[column] = True
        row = row_of[column]
        least, following = math.inf, 0
        for other in range(1, column_count + 1):
            if is_reached[other]:
                continue
            cost = costs[row - 1][other - 1] - row_potential[row] - column_potential[other]
            if cost < slack[other]:
                slack[other], came_from[other] = cost, column
            if slack[other] < least:
                least, following = slack[other], other
        for other in range(column_count + 1):
            if is_reached[other]:
                row_potential[row_of[other]] += least
                column_potential[other] -= least
            else:
                slack[other] -= least
        column = following
        if not row_of[column]:
            break
    while column:
        row_of[column] = row_of[came_from[column]]
        column = came_from[column]
