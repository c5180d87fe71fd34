/** Outlines over the canvas: brush, region, cursor, chosen cell. SVG, redrawn when the camera moves. */
import {svgElement} from './dom.js';

const CROSS_PX = 9;

export class Overlay {
  constructor(host, scene) {
    this.scene = scene;
    this.shapes = new Map();
    this.svg = svgElement('svg', {class: 'overlay', 'aria-hidden': 'true'});
    host.append(this.svg);
  }

  /** `segments`: [[lon, lat], [lon, lat], ...] lines; `heightM(view)` lifts them; null removes. */
  set(name, segments, {className = name, closed = false, heightM = () => 0} = {}) {
    const old = this.shapes.get(name);
    if (!segments?.length) {
      old?.node.remove();
      this.shapes.delete(name);
      return;
    }
    const node = old?.node ?? svgElement('g', {class: `shape ${className}`});
    if (!old) {
      node.append(svgElement('path', {class: 'halo'}), svgElement('path', {class: 'line'}));
      this.svg.append(node);
    }
    const shape = {node, segments, closed, heightM};
    this.shapes.set(name, shape);
    this.#draw(shape);
  }

  /** A cross at a place: the keyboard's cursor where there are no cells. */
  setCross(name, place) {
    const {scene} = this, [x, y] = scene.project(place), at = (dx, dy) => scene.unproject(x + dx, y + dy);
    this.set(name, [[at(-CROSS_PX, 0), at(CROSS_PX, 0)], [at(0, -CROSS_PX), at(0, CROSS_PX)]]);
  }

  render() { for (const shape of this.shapes.values()) this.#draw(shape); }

  #draw({node, segments, closed, heightM}) {
    const d = [];
    this.scene.viewIds.forEach((_, view) => {
      const z = heightM(view);
      for (const line of segments) {
        line.forEach((point, k) => {
          const [x, y] = this.scene.project(point, z, view);
          d.push(`${k ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`);
        });
        if (closed) d.push('Z');
      }
    });
    for (const path of node.children) path.setAttribute('d', d.join(''));
  }
}

/** The edges that belong to one cell of the set only: the outline of their union. */
export function unionOutline(topology, cells) {
  const edges = new Map(), name = ([x, y]) => `${x.toFixed(6)},${y.toFixed(6)}`;
  for (const i of cells) {
    const ring = topology.ring(i);
    ring.forEach((a, k) => {
      const b = ring[(k + 1) % ring.length], [p, q] = [name(a), name(b)], key = p < q ? `${p} ${q}` : `${q} ${p}`;
      if (edges.has(key)) edges.delete(key); else edges.set(key, [a, b]);
    });
  }
  return [...edges.values()];
}
