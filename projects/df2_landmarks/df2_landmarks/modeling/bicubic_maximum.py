"""Exact maxima of bicubically resized maps, without resizing them.

Shapes: N = maps, R = regions, S = side of a map in cells, Q = squares in hand.

A map resized as by torch's ``interpolate(mode="bicubic", align_corners=False)`` is a surface over
the cells, read at the *fine* positions of its region. The surface is a polynomial in each *square*
between four neighbouring cell centres; there are (S + 1) x (S + 1) squares, as border cells repeat
outside the map. Squares that cannot hold the maximum are left out, by two bounds that hold for
every map:

1. On each axis a value weighs the two cells around it by 1 + f in all and the two far cells by -f,
   with 0 <= f <= `FAR_WEIGHT`. Let h be the largest of the four cells around it, and l and p the
   least and the largest of the map. The four cells weigh (1 + f)(1 + g), the four corner cells
   f g, and the rest so much less than zero that all weights add up to 1. Hence
   value <= h + ((1 + f)(1 + g) - 1)(h - l) + f g (p - l), largest for f = g = `FAR_WEIGHT`.
2. A polynomial is at most the largest of its Bernstein coefficients in the square (it is their
   convex combination), and these are linear in its 16 cells (`BERNSTEIN`).

First the squares around the maximal cell are evaluated, for a value that the maximum at least has;
then every square that a bound does not exclude. Ordinary maps with one peak have none or a few of
these, white noise some dozens; a map that oscillates from cell to cell may need all of them.
"""

from __future__ import annotations

import torch

CUBIC_A = -0.75
"""Parameter of the cubic kernel in torch's ``interpolate(mode="bicubic")``."""

FAR_WEIGHT = -CUBIC_A / 4
"""The far cells of an axis weigh a t (1 - t) together, at a position t between the near ones."""

BERNSTEIN = (
    (0.0, 1.0, 0.0, 0.0),
    (CUBIC_A / 3, 1.0, -CUBIC_A / 3, 0.0),
    (0.0, -CUBIC_A / 3, 1.0, CUBIC_A / 3),
    (0.0, 0.0, 1.0, 0.0),
)
"""Bernstein coefficients of the cubic between the middle two of four cells. It passes through these
two, with slopes of -a times the difference of their neighbours."""

ROUNDING = 1e-6
"""Values this close, relative to the map's largest magnitude, count as equal."""

MAX_VALUES = 2**22
"""Upper bound of values that are held at once (16 MiB of float32)."""


def bicubic_maxima(
    maps: torch.Tensor, num_fine: torch.Tensor, region: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Largest value of each resized map, its place, and the largest cell.

    The caller keeps N within memory: at most `MAX_VALUES` cells.

    Args:
        maps: (N, S, S) float32.
        num_fine: (R, 2) int64 >= 1, columns and rows that the maps of a region are resized to.
        region: (N,) int64, the region of each map.

    Returns:
        ``(values, places_xy, peak_cells)``: (N,), (N, 2) int64 fine column and row, and (N,) int64
        row * S + column. Of values that are equal within `ROUNDING` any one may be found.
    """
    search = _Search(maps, num_fine, region)
    search.run()
    num_columns = num_fine[region, 0]
    places_xy = torch.stack((search.place % num_columns, search.place // num_columns), dim=1)
    return search.best, places_xy, search.peak_row * search.side + search.peak_column


class _Search:
    """The largest values found so far of some maps, and the ways to raise them.

    Squares in hand are (Q, 3) int64: map, row and column of the square. Square s of an axis lies
    between the centres of cells s - 1 and s.
    """

    def __init__(self, maps: torch.Tensor, num_fine: torch.Tensor, region: torch.Tensor) -> None:
        """As of `bicubic_maxima`."""
        self.maps = maps
        self.side = maps.shape[-1]
        self.region = region
        self.sizes = num_fine[region]
        self.edges = _square_edges(num_fine, self.side)
        self.items = torch.arange(len(maps), device=maps.device)
        self.row_peaks = maps.amax(dim=2)
        self.peak, self.peak_row = self.row_peaks.max(dim=1)
        self.peak_column = maps[self.items, self.peak_row].max(dim=1).indices
        self.best = torch.full_like(self.peak, -torch.inf)
        self.place = torch.zeros_like(region)  # fine row * fine columns + fine column

    def run(self) -> None:
        seeds = self._seeds()
        self._evaluate(seeds)
        lowest = self.maps.flatten(1).amin(dim=1)
        slack = ROUNDING * torch.maximum(self.peak.abs(), lowest.abs())
        # The first bound, solved for h: more than this must lie at a corner of a square.
        overshoot = FAR_WEIGHT**2 * (self.peak - lowest)
        enough = lowest + (self.best + slack - overshoot - lowest) / (1 + FAR_WEIGHT) ** 2
        candidates = self._squares_above(enough)
        step = max(1, MAX_VALUES // 16)
        for i in range(0, len(candidates), step):
            squares = candidates[i : i + step]
            item = squares[:, 0]
            possible = self._upper_bound(squares) > (self.best + slack)[item]
            possible &= (squares != seeds[item]).any(dim=1)
            self._evaluate(squares[possible])

    def _seeds(self) -> torch.Tensor:
        """(N, 3) the square where the maximum probably lies: that of the first fine position from
        each map's largest cell towards its larger neighbours."""
        peak_xy = torch.stack((self.peak_column, self.peak_row), dim=1)
        after = (peak_xy + 1).clamp(max=self.side - 1)
        before = (peak_xy - 1).clamp(min=0)
        forward = torch.stack(
            (
                self.maps[self.items, self.peak_row, after[:, 0]]
                > self.maps[self.items, self.peak_row, before[:, 0]],
                self.maps[self.items, after[:, 1], self.peak_column]
                > self.maps[self.items, before[:, 1], self.peak_column],
            ),
            dim=1,
        )
        fine_xy = ((peak_xy + 0.5) * (self.sizes / self.side) - 0.5).floor() + forward
        fine_xy = fine_xy.clamp(min=0).minimum(self.sizes - 1)
        square_xy = _cell_position(fine_xy, self.sizes, self.side).floor().long() + 1
        return torch.cat((self.items[:, None], square_xy.flip(1)), dim=1)

    def _squares_above(self, values: torch.Tensor) -> torch.Tensor:
        """(Q, 3) squares with a corner cell above the value of the map, (N,)."""
        item, row = (_largest_of_pairs(self.row_peaks) > values[:, None]).nonzero().unbind(dim=1)
        rows = self.maps.flatten(0, 1)
        upper = rows.index_select(0, item * self.side + (row - 1).clamp_(min=0))
        lower = rows.index_select(0, item * self.side + row.clamp(max=self.side - 1))
        corners = _largest_of_pairs(torch.maximum(upper, lower, out=upper))
        found, column = (corners > values[item, None]).nonzero().unbind(dim=1)
        return torch.stack((item[found], row[found], column), dim=1)

    def _upper_bound(self, squares: torch.Tensor) -> torch.Tensor:
        """(Q,) the second bound: the largest Bernstein coefficient."""
        axis = self.maps.new_tensor(BERNSTEIN)
        coefficients = self._patches(squares).flatten(1) @ torch.kron(axis, axis).T
        return coefficients.amax(dim=1)

    def _patches(self, squares: torch.Tensor) -> torch.Tensor:
        """(Q, 4, 4) cells that the values in each square are made of."""
        squares = squares.int()  # half the memory to move; `MAX_VALUES` keeps indices small
        cells = squares[:, 1:, None] + torch.arange(-2, 2, device=squares.device).int()
        cells = cells.clamp_(0, self.side - 1)
        rows = squares[:, :1] * self.side + cells[:, 0]
        index = (rows * self.side)[:, :, None] + cells[:, 1, None]
        return self.maps.flatten().index_select(0, index.flatten()).view(-1, 4, 4)

    def _evaluate(self, squares: torch.Tensor) -> None:
        """Raise `best` and `place` where `squares` hold more."""
        item, square_xy = squares[:, 0], squares[:, [2, 1]]
        edges, axis = self.edges, torch.arange(2, device=squares.device)
        regions = self.region[item][:, None]
        first = edges[regions, axis, square_xy]
        last = edges[regions, axis, square_xy + 1] - 1
        filled = (first <= last).all(dim=1)  # small regions have squares without a fine position
        squares, first, last = squares[filled], first[filled], last[filled]
        if len(squares) == 0:
            return
        longest_x, longest_y = ((last - first).amax(dim=0) + 1).tolist()
        step = max(1, MAX_VALUES // (longest_x * longest_y))
        for i in range(0, len(squares), step):
            self._evaluate_chunk(
                squares[i : i + step], first[i : i + step], last[i : i + step], longest_x, longest_y
            )

    def _evaluate_chunk(
        self,
        squares: torch.Tensor,
        first: torch.Tensor,
        last: torch.Tensor,
        longest_x: int,
        longest_y: int,
    ) -> None:
        """`_evaluate` for as many squares as fit into memory.

        Args:
            squares: (Q, 3).
            first: (Q, 2) first fine column and row in each square.
            last: (Q, 2) last ones.
            longest_x: the most fine columns that a square has.
            longest_y: the most fine rows.
        """
        item = squares[:, 0]
        sizes = self.sizes[item]
        columns = self._fine_indices(first, last, 0, longest_x)
        rows = self._fine_indices(first, last, 1, longest_y)
        weights_x = self._weights(columns, sizes[:, :1], squares[:, 2])
        weights_y = self._weights(rows, sizes[:, 1:], squares[:, 1])
        fine = weights_y @ self._patches(squares) @ weights_x.transpose(1, 2)
        value, position = fine.flatten(1).max(dim=1)
        column = columns.gather(1, (position % longest_x)[:, None])[:, 0]
        row = rows.gather(1, (position // longest_x)[:, None])[:, 0]
        place = row * sizes[:, 0] + column

        former = self.best.clone()
        self.best.scatter_reduce_(0, item, value, "amax")
        self.place[self.best > former] = torch.iinfo(place.dtype).max
        winner = value == self.best[item]  # of equal ones the first, as arg-max has it
        self.place.scatter_reduce_(0, item[winner], place[winner], "amin")

    @staticmethod
    def _fine_indices(
        first: torch.Tensor, last: torch.Tensor, axis: int, longest: int
    ) -> torch.Tensor:
        """(Q, longest) fine indices of an axis; the last one repeats where there are fewer."""
        fine = first[:, axis, None] + torch.arange(longest, device=first.device)
        return fine.minimum(last[:, axis, None])

    def _weights(
        self, fine: torch.Tensor, size: torch.Tensor, square: torch.Tensor
    ) -> torch.Tensor:
        """(Q, P, 4) weights of the four cells of an axis for (Q, P) fine indices (Keys 1981,
        doi:10.1109/TASSP.1981.1163711)."""
        t = _cell_position(fine, size, self.side) - (square[:, None] - 1)
        rest = 1 - t
        far = CUBIC_A * t * rest
        before, after = far * rest, far * t
        near = ((CUBIC_A + 2) * t - (CUBIC_A + 3)) * t * t + 1
        return torch.stack((before, near, 1 - before - near - after, after), dim=2)


def _largest_of_pairs(values: torch.Tensor) -> torch.Tensor:
    """(N, S + 1) larger one of each two neighbours in (N, S); border values repeat outside."""
    return torch.maximum(
        torch.cat((values[:, :1], values), dim=1), torch.cat((values, values[:, -1:]), dim=1)
    )


def _square_edges(num_fine: torch.Tensor, side: int) -> torch.Tensor:
    """(R, 2, S + 2) first fine index of each column and row of squares; the last one is the end."""
    centres = torch.arange(-1, side + 1, device=num_fine.device)
    edges = ((centres + 0.5) * (num_fine[..., None] / side) - 0.5).ceil().long()
    edges = edges.clamp(min=0).minimum(num_fine[..., None])
    edges[..., -1] = num_fine
    return edges


def _cell_position(fine: torch.Tensor, num_fine: torch.Tensor, side: int) -> torch.Tensor:
    """Position of fine indices in cells, 0 at the centre of the first cell."""
    return (fine + 0.5) * (side / num_fine) - 0.5
