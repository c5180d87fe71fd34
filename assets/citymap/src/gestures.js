/**
 * Pointer events of the map's element. While a paint tool is chosen: left button or one finger
 * paints, the other buttons or two fingers move the map. With the hand, deck.gl has them all.
 */
const TOUCH_SLACK_PX = 6;

export class Gestures {
  /** @param target {host, scene, painter(): Painter|null, used(), hover(point), leave(), click(point)} */
  constructor(target) {
    this.target = target;
    this.touches = new Map();
    this.panning = null;
    const {host} = target, capture = {capture: true};
    const listen = (type, method) => host.addEventListener(type, event => this.#timed(method, event), capture);
    listen('pointerdown', this.#down);
    listen('pointermove', this.#move);
    listen('pointerup', this.#up);
    listen('pointercancel', this.#abort);
    listen('lostpointercapture', this.#abort);
    host.addEventListener('pointerleave', () => { if (!this.pressed) target.leave(); });
    host.addEventListener('contextmenu', event => event.preventDefault());
  }

  /** How long handlers took lately, milliseconds: read by the benchmark. */
  durations = [];

  #timed(method, event) {
    if (event.target.closest?.('button, input, select, .panel')) return;
    const begin = performance.now();
    method.call(this, event);
    this.durations.push(performance.now() - begin);
    if (this.durations.length > 4000) this.durations.splice(0, 2000);
  }

  get pressed() { return this.panning !== null || this.touches.size > 0 || Boolean(this.target.painter()?.stroke); }

  #point(event) {
    const box = this.target.host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    const painter = this.target.painter();
    this.target.used();
    this.pressedAt = this.#point(event);
    if (!painter?.paints) return;
    this.#own(event);
    if (event.pointerType === 'touch') return this.#touchDown(event, painter);
    if (event.button === 0) painter.down(this.#point(event), event);
    else this.panning = this.#point(event);
  }

  /** The event is ours: deck.gl does not see it. */
  #own(event) {
    event.stopPropagation();
    event.preventDefault();
    this.target.host.focus({preventScroll: true});
    try { this.target.host.setPointerCapture(event.pointerId); } catch { /* a pointer that is already gone */ }
  }

  #touchDown(event, painter) {
    this.touches.set(event.pointerId, this.#point(event));
    if (this.touches.size === 1) {
      this.touchMoved = false;
      painter.down(this.#point(event), event);
    } else {
      painter.cancel();
      this.pinched = true;
    }
  }

  #move(event) {
    const painter = this.target.painter(), point = this.#point(event);
    if (this.touches.has(event.pointerId)) return this.#touchMove(event, painter, point);
    if (this.panning) {
      event.stopPropagation();
      this.#pan(this.panning, point);
      this.panning = point;
    } else if (painter?.paints) {
      if (painter.stroke) event.stopPropagation();
      const events = event.getCoalescedEvents?.() ?? [];
      for (const step of painter.stroke && events.length ? events : [event]) painter.move(this.#point(step), event);
    } else this.target.hover(point);
  }

  #touchMove(event, painter, point) {
    event.stopPropagation();
    if (this.touches.size === 2) this.#pinch(event.pointerId, point);
    else if (!this.pinched && painter?.stroke) {
      const [x, y] = this.touches.get(event.pointerId);
      this.touchMoved ||= Math.hypot(point[0] - x, point[1] - y) > TOUCH_SLACK_PX;
      if (this.touchMoved) painter.move(point, event);
    }
    if (this.pinched || this.touchMoved) this.touches.set(event.pointerId, point);
  }

  /** Two fingers: what is under them stays under them. */
  #pinch(id, point) {
    const [first, second] = this.touches.keys(), other = this.touches.get(id === first ? second : first), old = this.touches.get(id);
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const zoom = Math.log2(Math.max(1, apart(point, other)) / Math.max(1, apart(old, other)));
    this.#pan(middle(old, other), middle(point, other), zoom);
  }

  #pan(from, to, zoomBy = 0) {
    const {scene} = this.target, place = scene.unproject(...from), camera = scene.camera;
    const zoom = Math.max(camera.minZoom ?? 0, Math.min(20, camera.zoom + zoomBy)), viewport = scene.viewports[0];
    if (!place || !viewport) return;
    const moved = new viewport.constructor({...camera, width: viewport.width, height: viewport.height, zoom});
    scene.setCamera({...moved.panByPosition(place, to), zoom});
  }

  #up(event) {
    const painter = this.target.painter();
    if (this.touches.delete(event.pointerId)) {
      event.stopPropagation();
      if (!this.pinched) painter?.up();
      if (!this.touches.size) this.pinched = false;
      return;
    }
    if (this.panning) { this.panning = null; event.stopPropagation(); return; }
    if (painter?.stroke) { event.stopPropagation(); painter.up(); return; }
    const [x, y] = this.#point(event), [x0, y0] = this.pressedAt ?? [Infinity, 0];
    if (!painter?.paints && event.button === 0 && Math.hypot(x - x0, y - y0) < TOUCH_SLACK_PX) this.target.click([x, y]);
  }

  /** The system took the pointer away: what was painted stays. */
  #abort(event) {
    if (event.type === 'lostpointercapture' && !this.target.painter()?.stroke) return;
    this.touches.delete(event.pointerId);
    this.panning = null;
    if (!this.touches.size) { this.target.painter()?.up(); this.pinched = false; }
  }
}
