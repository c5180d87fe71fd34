/** One deck.gl canvas with one to four views that share a camera. */
import {Deck, LinearInterpolator, MapView, WebMercatorViewport} from '@deck.gl/core';
import {SharedDevice} from './device.js';
import {element} from './dom.js';
import {prefersReducedMotion} from './theme.js';

const TRANSITION_MS = 350;
const MAX_ZOOM = 20;
const MAX_PIXEL_RATIO = 2;

export class Scene {
  /** -> a scene in `host`, or null where the browser has no WebGL 2. */
  static open(host, callbacks) {
    const device = SharedDevice.open();
    return device && new Scene(host, device, callbacks);
  }

  constructor(host, device, {onCamera, onRender, onLost}) {
    const ratio = Math.min(MAX_PIXEL_RATIO, globalThis.devicePixelRatio || 1);
    this.host = host;
    this.gl = device.gl;
    // as large as its host from the beginning, so that the first frame fits
    this.canvas = element('canvas', {width: Math.floor(host.clientWidth * ratio), height: Math.floor(host.clientHeight * ratio)});
    host.append(this.canvas);
    this.onCamera = onCamera;
    this.layers = () => [];
    this.camera = {longitude: 0, latitude: 0, zoom: 1, pitch: 0, bearing: 0};
    this.viewIds = ['main'];
    this.controller = true;
    this.renderCount = 0;
    this.deck = new Deck({
      parent: host, device: device.device, _canvases: [this.canvas], views: this.#views(), viewState: this.camera, layers: [],
      useDevicePixels: ratio, _pickable: false,
      getCursor: () => 'inherit',
      layerFilter: ({layer, viewport}) => belongsTo(layer, viewport.id),
      onViewStateChange: ({viewState}) => { this.setCamera(viewState); },
      onAfterRender: () => {
        if (this.deck.props.layers.length) this.renderCount += 1;
        onRender();
      },
      onError: error => { console.error('citymap', error); },
    });
    this.leave = device.join({onLost, onResize: device.lastResizeHandler});
  }

  #views() {
    const {cols, rows} = arrange(this.viewIds.length), width = 100 / cols, height = 100 / rows;
    return this.viewIds.map((id, i) => new MapView({
      id, x: `${i % cols * width}%`, y: `${Math.floor(i / cols) * height}%`, width: `${width}%`, height: `${height}%`, controller: this.controller, farZMultiplier: 1.5,
    }));
  }

  setViews(ids, controller = this.controller) {
    this.viewIds = ids;
    this.controller = controller;
    this.deck.setProps({views: this.#views()});
  }

  setCamera(camera) {
    this.camera = {...this.camera, ...camera, maxZoom: MAX_ZOOM};
    this.deck.setProps({viewState: this.camera});
    this.onCamera();
  }

  /** Move there smoothly, or at once where the user wants no motion. */
  moveCamera(camera) {
    const smooth = !prefersReducedMotion() && {
      transitionDuration: TRANSITION_MS,
      transitionInterpolator: new LinearInterpolator(['longitude', 'latitude', 'zoom', 'pitch', 'bearing']),
    };
    this.setCamera({transitionDuration: 0, ...camera, ...smooth});
  }

  /** The camera that shows the whole box, straight from above or tilted, within the margins. */
  cameraFor([west, south, east, north], pitch, bearing, {left, right, top, bottom}) {
    const {cols, rows} = arrange(this.viewIds.length);
    const width = Math.max(80, this.host.clientWidth / cols), height = Math.max(80, this.host.clientHeight / rows);
    const room = [Math.max(40, width - left - right), Math.max(40, height - top - bottom)];
    const flat = new WebMercatorViewport({width, height}).fitBounds([[west, south], [east, north]]);
    let camera = {longitude: flat.longitude, latitude: flat.latitude, zoom: flat.zoom, pitch, bearing};
    for (let round = 0; round < 4; round++) {      // perspective: a few steps find it
      const viewport = new WebMercatorViewport({width, height, ...camera});
      const corners = [[west, south], [west, north], [east, north], [east, south]].map(corner => viewport.project(corner));
      const xs = corners.map(p => p[0]), ys = corners.map(p => p[1]);
      const box = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      const zoom = camera.zoom + Math.log2(Math.min(room[0] / (box[1] - box[0]), room[1] / (box[3] - box[2])));
      const middle = viewport.unproject([(box[0] + box[1]) / 2 + (right - left) / 2, (box[2] + box[3]) / 2 + (bottom - top) / 2]);
      camera = {...camera, longitude: middle[0], latitude: middle[1], zoom};
    }
    return {...camera, minZoom: Math.max(0, camera.zoom - 3)};
  }

  /** Draw `layers()` again in the next frame. */
  invalidate() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      const begin = performance.now();
      this.deck.setProps({layers: this.layers()});
      this.uploadMs = performance.now() - begin;
    });
  }

  get viewports() { return this.deck.isInitialized ? this.deck.getViewports() : []; }
  viewportAt(x, y) { return this.viewports.find(v => x >= v.x && x < v.x + v.width && y >= v.y && y < v.y + v.height); }

  /** The place at a point of the canvas, as the view there shows it; `view` says which one if the point may lie beside it. */
  unproject(x, y, z = 0, view = null) {
    const viewport = this.viewports[view] ?? this.viewportAt(x, y) ?? this.viewports[0];
    return viewport ? viewport.unproject([x - viewport.x, y - viewport.y], {targetZ: z}).slice(0, 2) : null;
  }

  /** Index of the view at a point of the canvas. */
  viewIndexAt(x, y) { return Math.max(0, this.viewports.indexOf(this.viewportAt(x, y))); }

  /** The middle of the first view on the canvas. */
  get middle() {
    const {x, y, width, height} = this.viewports[0] ?? {x: 0, y: 0, width: 0, height: 0};
    return [x + width / 2, y + height / 2];
  }

  /** Screen position of a point in the view of that index. */
  project([lon, lat], z = 0, view = 0) {
    const viewport = this.viewports[view];
    if (!viewport) return [0, 0];
    const [x, y] = viewport.project([lon, lat, z]);
    return [x + viewport.x, y + viewport.y];
  }

  /** Move the map if a point is outside of the first view, so that a keyboard cursor stays visible. */
  keepInView(place) {
    const viewport = this.viewports[0];
    if (!viewport) return;
    const [x, y] = viewport.project(place), margin = 24;
    const inside = x > margin && y > margin && x < viewport.width - margin && y < viewport.height - margin;
    if (!inside) this.setCamera({longitude: place[0], latitude: place[1], transitionDuration: 0});
  }

  get metresPerPixel() {
    return 40_075_017 * Math.cos(this.camera.latitude * Math.PI / 180) / (512 * 2 ** this.camera.zoom);
  }

  /** The canvas' pixels at `ratio` per CSS pixel, copied right after a frame was drawn. */
  async capture(ratio) {
    const {canvas} = this, width = Math.round(this.host.clientWidth * ratio), before = this.deck.props.useDevicePixels;
    this.deck.setProps({useDevicePixels: ratio});
    try {
      for (let tries = 0; tries < 60; tries++) {
        await new Promise(resolve => requestAnimationFrame(resolve));
        this.deck.redraw('picture');
        if (Math.abs(canvas.width - width) <= ratio) {
          const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
          copy.getContext('2d').drawImage(canvas, 0, 0);
          return copy;
        }
      }
      throw new Error('The picture could not be drawn.');
    } finally {
      this.deck.setProps({useDevicePixels: before});
    }
  }

  destroy() {
    cancelAnimationFrame(this.pending);
    this.deck.finalize();
    this.canvas.remove();
    this.leave();
  }
}

/** Up to three views stand side by side, four in two rows. */
export const arrange = count => (count === 4 ? {cols: 2, rows: 2} : {cols: count, rows: 1});

/** A layer whose id begins with "<view>/" belongs to that view, any other to all of them. */
function belongsTo(layer, viewId) {
  const slash = layer.id.indexOf('/');
  return slash < 0 || layer.id.slice(0, slash) === viewId;
}
