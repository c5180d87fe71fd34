/**
 * The one WebGL context that all maps of a page share: each draws into it and copies its picture to a
 * canvas of its own. It is made for the first map and given back with the last.
 */
import {WebGLDevice} from '@luma.gl/webgl';

const CONTEXT = {antialias: true, preserveDrawingBuffer: false};

/** WebGL contexts of ours that are alive: at most one. */
export const liveContexts = new Set();

let shared = null;

function canvasWithContext() {
  try {
    const canvas = new OffscreenCanvas(1, 1);
    return canvas.getContext('webgl2', {...CONTEXT, powerPreference: 'high-performance'}) && canvas;
  } catch {
    return null;
  }
}

export class SharedDevice {
  /** -> the device, or null where the browser has no WebGL 2. */
  static open() {
    const isUsable = shared && !shared.gl.isContextLost();
    if (isUsable) return shared;
    const canvas = canvasWithContext();
    shared = canvas && new SharedDevice(canvas);
    return shared;
  }

  constructor(canvas) {
    this.users = new Set();
    this.device = new WebGLDevice({createCanvasContext: {canvas, autoResize: false}, webgl: CONTEXT, _initializeFeatures: false, _cacheShaders: true, _cachePipelines: true});
    this.gl = this.device.gl;
    liveContexts.add(this.gl);
    canvas.addEventListener('webglcontextlost', () => this.#lost());
    this.#shareResizes();
  }

  /** deck.gl takes the device's resize callback for itself: here each map keeps its own. */
  #shareResizes() {
    const tell = (...values) => this.users.forEach(user => user.onResize?.(...values));
    Object.defineProperty(this.device.props, 'onResize', {get: () => tell, set: handler => { this.lastResizeHandler = handler; }});
  }

  /** @param user {onLost, onResize}; returns what to call when the map is gone */
  join(user) {
    this.users.add(user);
    return () => {
      this.users.delete(user);
      if (!this.users.size) this.#end();
    };
  }

  #end() {
    if (shared === this) shared = null;
    liveContexts.delete(this.gl);
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  /** The graphics driver dropped the context: each map starts again, with a new one. */
  #lost() {
    const users = [...this.users];
    if (shared === this) shared = null;
    liveContexts.delete(this.gl);
    for (const user of users) user.onLost();
  }
}
