/** Stands in for the scene where the browser has no WebGL: everything but the drawing still works. */
export class NoScene {
  viewports = [];
  metresPerPixel = 1;
  gl = null;
  renderCount = 0;

  constructor(host, {onRender}) {
    this.host = host;
    this.onRender = onRender;
    this.camera = {longitude: 0, latitude: 0, zoom: 1, pitch: 0, bearing: 0};
    this.viewIds = ['main'];
    this.layers = () => [];
  }

  setViews(ids) { this.viewIds = ids; }
  setCamera() {}
  moveCamera() {}
  cameraFor() { return this.camera; }
  keepInView() {}
  viewportAt() { return null; }
  viewIndexAt() { return 0; }
  get middle() { return [0, 0]; }
  unproject() { return null; }
  project() { return [0, 0]; }
  capture() { return Promise.reject(new Error('This browser draws no map, so there is no picture.')); }

  invalidate() {
    this.pending ??= requestAnimationFrame(() => { this.pending = null; this.layers(); this.renderCount += 1; this.onRender(); });
  }

  destroy() { cancelAnimationFrame(this.pending); }
}
