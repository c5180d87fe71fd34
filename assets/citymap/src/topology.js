/**
 * A topology maps (lon, lat) to the index of a cell by arithmetic, never by picking on the GPU:
 * constant time per pointer event at any number of cells.
 *
 *   count                         number of cells
 *   spacingM                      distance between neighbouring centres, metres
 *   at(lon, lat)                  index of the cell there, -1 outside
 *   centre(i), ring(i)            [lon, lat]; the cell's corners
 *   visitDisk(lon, lat, r, f)     f(i, distance in cells) for the cells of a brush of radius r
 *   neighbours(i)                 indices that share an edge
 *   move(i, down, right)          the next cell in that direction, or i
 *   place(i)                      {row, col} or {id}
 */
import {METRES_PER_DEGREE} from './geometry.js';

export function createTopology(cells) {
  return cells.kind === 'h3' ? hexagons(cells) : grid(cells);
}

/** A brush of radius r covers the cells whose centre is within r + a quarter of a cell. */
const reach = radius => radius + 0.25;

function grid({rows, cols, bounds: [west, south, east, north]}) {
  const width = (east - west) / cols, height = (north - south) / rows;
  const k = Math.cos((south + north) * Math.PI / 360);
  const sizeM = [width * k * METRES_PER_DEGREE, height * METRES_PER_DEGREE];
  const inside = (row, col) => row >= 0 && col >= 0 && row < rows && col < cols;
  return {
    kind: 'grid', count: rows * cols, rows, cols, sizeM,
    spacingM: Math.min(...sizeM),
    shape: [[-sizeM[0] / 2, -sizeM[1] / 2], [sizeM[0] / 2, -sizeM[1] / 2], [sizeM[0] / 2, sizeM[1] / 2], [-sizeM[0] / 2, sizeM[1] / 2]],
    at(lon, lat) {
      const row = Math.floor((north - lat) / height), col = Math.floor((lon - west) / width);
      return inside(row, col) ? row * cols + col : -1;
    },
    centre(i) { return [west + (i % cols + 0.5) * width, north - (Math.floor(i / cols) + 0.5) * height]; },
    ring(i) {
      const w = west + (i % cols) * width, n = north - Math.floor(i / cols) * height;
      return [[w, n], [w + width, n], [w + width, n - height], [w, n - height]];
    },
    visitDisk(lon, lat, radius, visit) {
      const row = Math.floor((north - lat) / height), col = Math.floor((lon - west) / width), r = Math.ceil(radius);
      for (let y = Math.max(0, row - r); y <= Math.min(rows - 1, row + r); y++) {
        for (let x = Math.max(0, col - r); x <= Math.min(cols - 1, col + r); x++) {
          const distance = Math.hypot(y - row, x - col);
          if (distance <= reach(radius)) visit(y * cols + x, distance);
        }
      }
    },
    neighbours(i) {
      const row = Math.floor(i / cols), col = i % cols;
      return [[row - 1, col], [row + 1, col], [row, col - 1], [row, col + 1]]
        .filter(([y, x]) => inside(y, x)).map(([y, x]) => y * cols + x);
    },
    move(i, down, right) {
      const row = Math.floor(i / cols) + down, col = i % cols + right;
      return inside(row, col) ? row * cols + col : i;
    },
    place: i => ({row: Math.floor(i / cols), col: i % cols}),
  };
}

/**
 * H3 cells from their centres and one cell's outline. Within a city neighbouring hexagons are alike,
 * so the cell of a point is the one with the nearest centre; no H3 library is needed here.
 */
function hexagons({ids, centres, outline}) {
  const count = ids.length, k = Math.cos(centres[1] * Math.PI / 180);
  const x = Float64Array.from({length: count}, (_, i) => centres[2 * i] * k * METRES_PER_DEGREE);
  const y = Float64Array.from({length: count}, (_, i) => centres[2 * i + 1] * METRES_PER_DEGREE);
  const offsets = Array.from({length: outline.length / 2}, (_, i) => [outline[2 * i], outline[2 * i + 1]]);
  const shape = offsets.map(([dx, dy]) => [dx * k * METRES_PER_DEGREE, dy * METRES_PER_DEGREE]);
  const radiusM = Math.max(...shape.map(([dx, dy]) => Math.hypot(dx, dy)));
  const spacingM = Math.sqrt(3) * radiusM;
  const buckets = new Map(), keyOf = (bx, by) => bx * 1e7 + by;
  for (let i = 0; i < count; i++) {
    const key = keyOf(Math.floor(x[i] / spacingM), Math.floor(y[i] / spacingM));
    if (buckets.has(key)) buckets.get(key).push(i); else buckets.set(key, [i]);
  }
  const visitWithin = (px, py, rangeM, visit) => {
    const reachCells = Math.ceil(rangeM / spacingM), bx = Math.floor(px / spacingM), by = Math.floor(py / spacingM);
    for (let dx = -reachCells; dx <= reachCells; dx++) {
      for (let dy = -reachCells; dy <= reachCells; dy++) {
        for (const i of buckets.get(keyOf(bx + dx, by + dy)) ?? []) {
          const distance = Math.hypot(x[i] - px, y[i] - py);
          if (distance <= rangeM) visit(i, distance);
        }
      }
    }
  };
  const nearest = (px, py, rangeM, skip = -1) => {
    let best = -1, least = Infinity;
    visitWithin(px, py, rangeM, (i, distance) => { if (i !== skip && distance < least) { least = distance; best = i; } });
    return best;
  };
  const toMetres = (lon, lat) => [lon * k * METRES_PER_DEGREE, lat * METRES_PER_DEGREE];
  const neighbours = i => {
    const found = [];
    visitWithin(x[i], y[i], 1.35 * spacingM, j => { if (j !== i) found.push(j); });
    return found;
  };
  return {
    kind: 'h3', count, spacingM, shape, neighbours,
    at(lon, lat) { return nearest(...toMetres(lon, lat), radiusM); },
    centre: i => [centres[2 * i], centres[2 * i + 1]],
    ring: i => offsets.map(([dx, dy]) => [centres[2 * i] + dx, centres[2 * i + 1] + dy]),
    visitDisk(lon, lat, radius, visit) {
      let [px, py] = toMetres(lon, lat);
      const middle = nearest(px, py, radiusM);
      if (middle >= 0) [px, py] = [x[middle], y[middle]];
      visitWithin(px, py, reach(radius) * spacingM, (i, distance) => visit(i, distance / spacingM));
    },
    move(i, down, right) {
      let best = i, score = 0.3;
      for (const j of neighbours(i)) {
        const dx = x[j] - x[i], dy = y[j] - y[i], along = (dx * right - dy * down) / Math.hypot(dx, dy);
        if (along > score) { score = along; best = j; }
      }
      return best;
    },
    place: i => ({id: ids[i]}),
  };
}
