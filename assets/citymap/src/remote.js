/** Raster tiles from a server that the administrator named; without that setting this is never used. */
import {BitmapLayer} from '@deck.gl/layers';

const MAX_TILES = 48;
const MAX_LEVEL = 19;

const lonOf = (x, z) => x / 2 ** z * 360 - 180;
const latOf = (y, z) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y / 2 ** z))) * 180 / Math.PI;
const tileX = (lon, z) => Math.floor((lon + 180) / 360 * 2 ** z);
const tileY = (lat, z) => Math.floor((1 - Math.asinh(Math.tan(lat * Math.PI / 180)) / Math.PI) / 2 * 2 ** z);

export class RemoteTiles {
  /** @param template address with {z}, {x} and {y} */
  constructor(scene, template) {
    this.scene = scene;
    this.template = template;
    this.shown = '';
  }

  cameraMoved() {
    if (this.#wanted().join() !== this.shown) this.scene.invalidate();
  }

  /** The tiles that cover the first view, at most 48 of them. */
  #wanted() {
    const viewport = this.scene.viewports[0];
    if (!viewport) return [];
    const [west, south, east, north] = viewport.getBounds();
    let z = Math.max(0, Math.min(MAX_LEVEL, Math.round(viewport.zoom + 1)));
    const cover = level => [tileX(west, level), tileX(east, level), tileY(north, level), tileY(south, level)];
    let [x0, x1, y0, y1] = cover(z);
    while (z > 0 && (x1 - x0 + 1) * (y1 - y0 + 1) > MAX_TILES) [x0, x1, y0, y1] = cover(--z);
    const found = [];
    for (let x = x0; x <= x1; x++) for (let y = y0; y <= y1; y++) found.push(`${z}/${x}/${y}`);
    return found;
  }

  layers() {
    const wanted = this.#wanted();
    this.shown = wanted.join();
    return wanted.map(name => {
      const [z, x, y] = name.split('/').map(Number);
      return new BitmapLayer({
        id: `tile-${name}`, image: this.template.replace('{z}', z).replace('{x}', x).replace('{y}', y),
        bounds: [lonOf(x, z), latOf(y + 1, z), lonOf(x + 1, z), latOf(y, z)], parameters: {depthWriteEnabled: false},
      });
    });
  }
}
