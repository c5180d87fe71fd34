/** The frame that all kinds of map share: canvas, controls, legends, table twin, status, keyboard. */
import {ARROWS} from './keys.js';
import {element} from './dom.js';
import {readDescription} from './description.js';
import {Gestures} from './gestures.js';
import {ScaleBar, Tooltip, helpPanel} from './furniture.js';
import {segmentLayer, showsJoints} from './lines.js';
import {NoScene} from './noscene.js';
import {Overlay} from './overlay.js';
import {PaintMode} from './paintmode.js';
import {decodePayload, readDigest} from './payload.js';
import {download, drawPicture} from './picture.js';
import {RemoteTiles} from './remote.js';
import {Scene, arrange} from './scene.js';
import {TableTwin} from './table.js';
import {themeName} from './theme.js';
import {createTopology} from './topology.js';
import {group, iconButton, setPressed} from './toolbar.js';
import {TripMode} from './tripmode.js';
import {ViewMode} from './viewmode.js';

const MODES = {paint: PaintMode, view: ViewMode, trips: TripMode};
const PITCH_3D = 50;
const BEARING_3D = -18;
const COLUMN_HEIGHT_SHARE = 0.14;   // of the city's diagonal
const PAINT_CONTROLS = {dragPan: false, dragRotate: false, doubleClickZoom: false, touchZoom: false, touchRotate: false, keyboard: false, scrollZoom: true};
const VIEW_CONTROLS = {keyboard: false};

/** What the user had in view, by map: outlives a switch to another page and back. */
const remembered = new Map();
const MAX_REMEMBERED = 32;

/**
 * Streamlit sends values from a timer of no delay, and browsers hold timers back after the end of a
 * gesture until the next frame is drawn, up to 50 ms. What `act` sets on such a timer runs right after it.
 */
function atOnce(act) {
  const timer = globalThis.setTimeout;
  globalThis.setTimeout = (run, delay, ...values) => {
    if (delay) return timer(run, delay, ...values);
    queueMicrotask(() => run(...values));
    return 0;
  };
  try { act(); } finally { globalThis.setTimeout = timer; }
}

export class CityMap {
  constructor(root) {
    this.box = element('div', {className: 'citymap'});
    root.append(this.box);
    this.#buildFrame();
    this.gestures = new Gestures(this.#gestureTarget());
    this.resize = new ResizeObserver(() => this.#resized());
    this.resize.observe(this.host);
  }

  // ---- messages ------------------------------------------------------------------------------

  /** Called whenever Streamlit has something to say: new data, another theme, or nothing new. */
  update({data, setStateValue}) {
    this.setStateValue = setStateValue;
    if (readDigest(data) !== this.payload?.digest) {
      const payload = decodePayload(data);
      if (this.mode?.busy) { this.waiting = payload; return; }   // never disturb a stroke
      this.#load(payload);
    }
    this.#applyTheme();
  }

  send(name, message) { atOnce(() => this.setStateValue(name, message)); }

  #load(payload) {
    const before = this.payload, step = this.mode?.step;
    this.payload = payload;
    this.themeStale = true;
    if (before && this.#absorbed(before, payload)) return;
    const fresh = !before || before.kind !== payload.kind || JSON.stringify(before.cells) !== JSON.stringify(payload.cells);
    this.mode?.destroy();
    this.extraControls = [];
    this.host.setAttribute('aria-label', `${payload.label}. Press the question mark for the keys.`);
    this.box.dataset.kind = payload.kind;
    this.box.style.setProperty('--map-height', `${payload.height}px`);
    this.description = readDescription(payload.deck);
    if (fresh) this.topology = payload.cells ? createTopology(payload.cells) : null;
    this.#openScene();
    const [west, south, east, north] = payload.bounds;
    this.heightM = Math.hypot((east - west) * Math.cos(south * Math.PI / 180), north - south) * 111_320 * COLUMN_HEIGHT_SHARE;
    const kept = remembered.get(payload.key);
    this.is3d = kept?.is3d ?? payload.is3d;
    this.themeName = themeName(this.box);
    this.theme = payload.themes[this.themeName];
    this.mode = new MODES[payload.kind](this, this.#modeSpec(payload, kept, step));
    this.tiles = payload.remote ? new RemoteTiles(this.scene, payload.remote.tiles) : null;
    this.scene.layers = () => this.#layers();
    this.viewsChanged();
    if (fresh) this.#placeCamera(kept);
    this.#fillFrame(kept);
  }

  /** New values of the same map, say the next estimate of a running job: only the values are replaced. */
  #absorbed(before, payload) {
    const rest = ({digest, view, ...others}) => JSON.stringify(others);
    if (payload.kind !== 'view' || rest(before) !== rest(payload) || !this.mode.absorb(payload.view)) return false;
    this.drawCards();
    return true;
  }

  #modeSpec(payload, kept, step) {
    const spec = payload[payload.kind];
    if (payload.kind !== 'view') return spec;
    const selected = kept?.selected < this.topology.count ? kept.selected : -1;
    return {...spec, selected, step: Math.min(spec.count - 1, step ?? kept?.step ?? spec.step)};
  }

  #openScene() {
    if (this.scene) return;
    const callbacks = {onCamera: () => this.#cameraMoved(), onRender: () => this.#rendered(), onLost: () => this.#lost()};
    const scene = Scene.open(this.host, callbacks);
    this.drawable = scene !== null;
    this.scene = scene ?? new NoScene(this.host, callbacks);
    this.overlay = new Overlay(this.host, this.scene);
    if (!this.drawable) this.#explainNoWebGL();
  }

  #explainNoWebGL() {
    this.host.append(element('div', {className: 'notice', attributes: {role: 'alert'}}, [
      element('strong', {text: 'This browser cannot draw the map.'}),
      element('p', {text: 'It has no WebGL 2, or it is switched off. Everything can be read and edited in the table; to see the map, allow hardware acceleration in the browser’s settings or use a current browser.'}),
    ]));
  }

  /** The graphics driver dropped our context: start again with the same state. */
  #lost() {
    this.overlay.svg.remove();
    this.scene.destroy();
    this.scene = null;
    const {payload} = this;
    this.payload = null;
    this.#remember();
    this.#load(payload);
  }

  // ---- frame ---------------------------------------------------------------------------------

  #buildFrame() {
    this.top = element('div', {className: 'bars'});
    this.host = element('div', {className: 'map', tabIndex: 0, attributes: {role: 'application'}, on: {keydown: e => this.#key(e), blur: () => this.mode?.painter?.hideCursor()}});
    this.cards = element('div', {className: 'cards'});
    this.controls = element('div', {className: 'controls', attributes: {role: 'toolbar', 'aria-label': 'Map view', 'aria-orientation': 'vertical'}});
    this.scaleBar = new ScaleBar();
    this.attribution = element('div', {className: 'attribution'});
    this.tooltip = new Tooltip();
    this.viewport = element('div', {className: 'viewport'}, [this.host, this.cards, this.scaleBar.node, this.attribution, this.tooltip.node, this.controls]);
    this.stage = element('div', {className: 'stage'}, [this.viewport]);
    this.bottom = element('div', {className: 'bars'});
    this.readout = element('div', {className: 'readout'});
    this.live = element('div', {className: 'live', attributes: {role: 'status', 'aria-live': 'polite'}});
    this.box.append(this.top, this.stage, this.bottom, element('div', {className: 'foot'}, [this.readout, this.live]));
    this.box.dataset.modality = 'pointer';
    this.box.addEventListener('keydown', () => { this.box.dataset.modality = 'keyboard'; }, true);
    this.box.addEventListener('pointerdown', () => { this.box.dataset.modality = 'pointer'; }, true);
    this.box.addEventListener('fullscreenchange', () => this.#fullscreenChanged());
  }

  #fillFrame(kept) {
    this.top.replaceChildren(...this.mode.bars.top);
    this.bottom.replaceChildren(...this.mode.bars.bottom);
    this.attribution.textContent = [this.payload.attribution, this.payload.remote?.attribution].filter(Boolean).join(' · ');
    this.#buildControls();
    this.mode.toolChanged?.();
    const open = this.tableOpen ?? kept?.tableOpen ?? this.payload.tableOpen;
    this.#showTable(open || !this.drawable);
    this.mode.time?.show(kept?.step ?? this.mode.step ?? this.mode.now);
  }

  #buildControls() {
    const button = (id, name, label, key, onClick, pressed) => iconButton({id, name, label, pressed, onClick, key: key && {text: key.toUpperCase(), aria: key}});
    this.zoomIn = button('zoom-in', 'plus', 'Zoom in', '+', () => this.zoomBy(1));
    this.zoomOut = button('zoom-out', 'minus', 'Zoom out', '-', () => this.zoomBy(-1));
    this.home = button('reset-camera', 'locate', 'Show the whole city', '0', () => this.resetCamera());
    this.dimension = button('dimension', 'box', '3D', '3', () => this.set3d(!this.is3d), this.is3d);
    this.full = button('fullscreen', 'maximize', 'Full screen', 'f', () => this.toggleFullscreen());
    this.save = button('picture', 'image-down', 'Save a picture', 'p', () => this.savePicture());
    this.tableButton = button('table', 'table', 'Table of values', 'n', () => this.#showTable(!this.table), false);
    this.help = button('help', 'help', 'Keys', '?', () => this.toggleHelp());
    this.dimension.hidden = !this.mode.is3dAllowed();
    this.controls.replaceChildren(
      ...this.extraControls, group('Zoom', [this.zoomIn, this.zoomOut]), group('Camera', [this.home, this.dimension]),
      group('Show', [this.full, this.save, this.tableButton, this.help]));
  }

  #showTable(open) {
    this.tableOpen = open;
    this.table?.node.remove();
    this.table = open ? new TableTwin(this.mode.tableSources(), () => { this.#showTable(false); this.tableButton.focus(); }) : null;
    this.table?.node.addEventListener('pointerleave', () => this.overlay.set('row', null));
    if (open) this.stage.append(this.table.node);
    else this.overlay.set('row', null);
    setPressed(this.tableButton, open);
    this.#remember();
  }

  drawCards() {
    const views = this.mode.cards(), {cols, rows} = arrange(views.length);
    this.cards.replaceChildren(...views.map((cards, k) => {
      const column = element('div', {className: 'column'}, cards);
      column.style.left = `${k % cols * 100 / cols}%`;
      column.style.top = `${Math.floor(k / cols) * 100 / rows}%`;
      column.style.width = `${100 / cols}%`;
      return column;
    }));
  }

  announce(text) { this.live.textContent = text; }

  // ---- drawing -------------------------------------------------------------------------------

  #layers() {
    if (this.waiting && !this.mode.busy) {
      const payload = this.waiting;
      this.waiting = null;
      queueMicrotask(() => this.#load(payload));
    }
    const base = this.description.layers.map(layer => this.#baseLayer(layer));
    const [under, over] = [base.filter(l => !l.id.startsWith('top-')), base.filter(l => l.id.startsWith('top-'))];
    return [...(this.tiles?.layers() ?? []), ...under, ...this.mode.layers(), ...over];
  }

  #baseLayer({Class, props, segments}) {
    const {id, lineWidthMinPixels} = props, colors = this.#colors(id);
    if (!segments || this.joints) return new Class({...props, ...colors});
    return segmentLayer({id: `${id}-segments`, data: segments, widthMinPixels: lineWidthMinPixels, getColor: colors.getLineColor ?? props.getLineColor, parameters: colors.parameters});
  }

  /** Base layers are called base-<kind>; their colours come from the theme. */
  #colors(id) {
    const color = id.startsWith('base-') && this.theme[id.slice(5)];
    return color ? {getFillColor: color, getLineColor: color, updateTriggers: {getFillColor: this.themeName, getLineColor: this.themeName}, parameters: {depthWriteEnabled: false}} : {};
  }

  #applyTheme() {
    const name = themeName(this.box);
    if (name === this.box.dataset.theme && !this.themeStale) return;   // most calls bring nothing new
    this.themeStale = false;
    if (name !== this.themeName) {
      this.themeName = name;
      this.theme = this.payload.themes[name];
      this.mode.themeChanged(name);
      this.drawCards();
    }
    this.box.dataset.theme = name;
    const css = ([r, g, b]) => `rgb(${r},${g},${b})`;
    this.box.style.setProperty('--map-background', css(this.theme.background));
    this.box.style.setProperty('--map-ink', css(this.theme.ink));
    this.box.style.setProperty('--map-paper', css(this.theme.paper));
    this.mode.dirty = true;
    this.scene.invalidate();
  }

  #rendered() {
    this.overlay.render();
    if (this.scene.renderCount) this.mode.drawn?.();
  }

  /** Until the user moves the map, each view shows the whole city, however many there are. */
  viewsChanged() {
    const count = this.mode.viewIds.length, isOther = this.numViews !== undefined && count !== this.numViews;
    this.numViews = count;
    this.scene.setViews(this.mode.viewIds, this.mode.painter?.paints ? PAINT_CONTROLS : VIEW_CONTROLS);
    const {cols, rows} = arrange(count);
    this.viewport.style.setProperty('--cols', cols);
    this.viewport.style.setProperty('--rows', rows);
    if (isOther && this.fitted) this.scene.setCamera({...this.#homeCamera(), transitionDuration: 0});
    this.drawCards();
    this.scene.invalidate();
  }

  setController(free) { this.scene.setViews(this.mode.viewIds, free ? VIEW_CONTROLS : PAINT_CONTROLS); this.host.dataset.cursor = free ? 'move' : 'paint'; }

  // ---- camera --------------------------------------------------------------------------------

  #placeCamera(kept) {
    const same = kept && kept.bounds === String(this.payload.bounds);
    if (same) this.scene.setCamera({...kept.camera, transitionDuration: 0});
    else { this.fitted = true; this.scene.setCamera(this.#homeCamera()); }
  }

  #homeCamera() { return this.scene.cameraFor(this.payload.bounds, this.is3d ? PITCH_3D : 0, this.is3d ? BEARING_3D : 0, this.#margins()); }

  /** Room for the legend above and the buttons on the right, where the map is large enough to spare it. */
  #margins() {
    const {cols, rows} = arrange(this.mode.viewIds.length), width = this.host.clientWidth / cols, height = this.host.clientHeight / rows;
    const left = cols > 1 ? 10 : Math.min(24, width * 0.06), right = cols > 1 ? 10 : width > 320 ? 58 : left;
    const columns = this.is3d && this.topology ? height * 0.08 : 0;
    return {left, right, top: (height > 340 ? 66 : 14) + columns, bottom: Math.min(30, height * 0.06)};
  }

  /** Until the user moves the map, it keeps showing the whole city at any size. */
  #resized() {
    if (!this.payload || !this.host.clientWidth) return;
    if (this.fitted) this.scene.setCamera({...this.#homeCamera(), transitionDuration: 0});
    this.overlay.render();
    this.#cameraMoved();
  }

  #cameraMoved() {
    if (!this.mode) return;
    this.overlay.render();
    this.scaleBar.update(this.scene.metresPerPixel);
    const joints = showsJoints(this.scene.metresPerPixel);
    if (joints !== this.joints) this.scene.invalidate();
    this.joints = joints;
    this.tiles?.cameraMoved();
    this.mode.cameraChanged();
    this.#remember();
  }

  #remember() {
    if (!this.payload || !this.scene) return;
    const {transitionDuration, transitionInterpolator, ...camera} = this.scene.camera;
    remembered.delete(this.payload.key);
    const moved = this.fitted ? {} : {camera, bounds: String(this.payload.bounds)};
    remembered.set(this.payload.key, {...moved, is3d: this.is3d, tableOpen: this.tableOpen, step: this.mode?.time?.now, selected: this.mode?.selected});
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value);
  }

  used() { this.fitted = false; }

  resetCamera() {
    this.fitted = true;
    this.scene.moveCamera(this.#homeCamera());
    this.announce('The whole city');
  }

  zoomBy(levels) {
    this.used();
    const {camera} = this.scene;
    this.scene.moveCamera({zoom: Math.max(camera.minZoom ?? 0, Math.min(20, camera.zoom + levels))});
  }

  turnBy(pitch, bearing) {
    this.used();
    const {camera} = this.scene;
    this.scene.moveCamera({pitch: Math.max(0, Math.min(60, camera.pitch + pitch)), bearing: camera.bearing + bearing});
  }

  panBy(x, y) {
    this.used();
    const {scene} = this, {middle} = scene;
    const place = scene.unproject(middle[0] + x, middle[1] + y, 0, 0);
    if (place) scene.moveCamera({longitude: place[0], latitude: place[1]});
  }

  set3d(on) {
    if (!this.mode.is3dAllowed() || on === this.is3d) return;
    this.is3d = on;
    setPressed(this.dimension, on);
    this.mode.before3d(on);
    this.mode.dirty = true;
    this.scene.moveCamera({pitch: on ? PITCH_3D : 0, bearing: on ? BEARING_3D : 0});
    this.scene.invalidate();
    this.announce(on ? '3D' : '2D');
  }

  // ---- commands ------------------------------------------------------------------------------

  async toggleFullscreen() {
    const root = this.box.getRootNode();
    if (document.fullscreenElement || root.fullscreenElement) return document.exitFullscreen();
    try { await this.box.requestFullscreen(); } catch { this.announce('This browser does not allow full screen here'); }
  }

  #fullscreenChanged() {
    const on = Boolean(this.box.getRootNode().fullscreenElement);
    this.full.setAttribute('aria-label', on ? 'Leave full screen' : 'Full screen');
    this.announce(on ? 'Full screen' : 'Back in the page');
  }

  async savePicture() {
    try {
      const blob = await drawPicture({
        scene: this.scene, overlaySvg: this.overlay.svg, title: this.payload.label, titles: this.mode.pictureParts(), theme: this.theme,
        attribution: this.attribution.textContent, font: getComputedStyle(this.box).fontFamily,
      });
      download(blob, `${this.payload.label.replace(/[^\w-]+/g, '-').toLowerCase().slice(0, 60) || 'map'}.png`);
      this.announce('Picture saved');
    } catch (error) {
      this.announce(error.message);
    }
  }

  toggleHelp() {
    if (this.helpNode) { this.helpNode.remove(); this.helpNode = null; return this.help.focus(); }
    this.helpNode = helpPanel({tools: this.mode.painter?.tools, shortcuts: this.mode.shortcuts, time: this.mode.time, onClose: () => this.toggleHelp()});
    this.viewport.append(this.helpNode);
    this.helpNode.focus();
  }

  // ---- input ---------------------------------------------------------------------------------

  #gestureTarget() {
    const map = this;
    return {
      host: this.host,
      get scene() { return map.scene; },
      painter: () => map.mode?.painter,
      used: () => map.used(),
      hover: point => map.mode?.hover(point),
      leave: () => map.mode?.pointerLeft(),
      click: point => map.mode?.click(point),
    };
  }

  #key(event) {
    if (!this.mode) return;
    const used = this.mode.key(event) || this.#cameraKey(event);
    if (used) { event.preventDefault(); event.stopPropagation(); }
  }

  #cameraKey(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      if (event.shiftKey && !this.mode.painter) this.turnBy(-arrow[1] * 10, arrow[0] * 15);
      else this.panBy(arrow[0] * 80, arrow[1] * 80);
      return true;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const action = {
      '+': () => this.zoomBy(1), '=': () => this.zoomBy(1), '-': () => this.zoomBy(-1), 0: () => this.resetCamera(), 3: () => this.set3d(!this.is3d),
      n: () => this.#showTable(!this.table), f: () => this.toggleFullscreen(), p: () => this.savePicture(), '?': () => this.toggleHelp(),
    }[event.key.toLowerCase()];
    action?.();
    return Boolean(action);
  }

  destroy() {
    this.#remember();
    this.mode?.destroy();
    this.resize.disconnect();
    this.scene?.destroy();
    this.box.remove();
  }
}
