/** The coloured cells of one view: colours and heights in flat arrays that go to the GPU as they are. */
import {CellMesh, CellValues, PrismLayer} from './prisms.js';

const COVERAGE = 0.95;
const MIN_HEIGHT = 0.004; // a column of no height would be drawn dark

export class CellSheet {
  constructor(id, topology) {
    this.id = id;
    this.topology = topology;
    this.mesh = new CellMesh(topology, COVERAGE);
    this.values = new CellValues(topology.count);
    this.version = null;   // nothing shown yet
  }

  /** Take new values; columns rise by the same scale that colours them. */
  show(values, scale, is3d) {
    const {colors, heights} = this.values;
    scale.paint(values, colors);
    if (is3d) {
      for (let i = 0; i < values.length; i++) heights[i] = Math.max(MIN_HEIGHT, scale.height(values[i]));
    }
    this.version = {};
  }

  /** 0 to 1 by cell, as last shown in 3D. */
  get heights() { return this.values.heights; }

  layer({opacity, is3d, heightM}) {
    return new PrismLayer({
      id: this.id, data: this.mesh, mesh: this.mesh, values: this.values, version: this.version, is3d, heightM, opacity,
      parameters: {cullMode: 'none', ...(is3d ? {} : {depthCompare: 'always'})},
    });
  }
}

/**
 * The cell under the pointer where columns stand: the first one that the line of sight meets.
 * `from` is where that line is `heightM` above the ground, `to` where it reaches the ground.
 */
export function firstColumnHit(topology, heights, heightM, from, to) {
  const steps = Math.min(400, Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) * 111_320 / (topology.spacingM * 0.25))));
  for (let k = 0; k <= steps; k++) {
    const t = k / steps, cell = topology.at(from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t);
    if (cell >= 0 && heights[cell] * heightM >= (1 - t) * heightM) return cell;
  }
  return topology.at(to[0], to[1]);
}
