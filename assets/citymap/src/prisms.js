/**
 * The coloured cells as one mesh: a column is a top and its walls. deck.gl's ColumnLayer draws one instance
 * a cell, and without a graphics card each instance costs as much as a whole draw.
 */
import {Layer, color, project32} from '@deck.gl/core';
import {Buffer} from '@luma.gl/core';
import {Model} from '@luma.gl/engine';

/** Light from above leaves the top of a column in its legend's colour and shades its sides. */
const LIGHT = [0.2, 0.34];
const SHADOW = 0.62;
const DIFFUSE = 0.44;

const uniforms = {
  name: 'prism',
  vs: `\
layout(std140) uniform prismUniforms {
  float elevationScale;
  float lit;
} prism;
`,
  uniformTypes: {elevationScale: 'f32', lit: 'f32'},
};

const VERTEX = `#version 300 es
#define SHADER_NAME prism-layer-vertex-shader
in vec2 centres;
in vec2 centresLow;
in vec4 corners;   // offset in metres, 1 on the ground's upper end, shade
in vec4 colors;
in float heights;
out vec4 vColor;
void main(void) {
  float isShown = float(colors.a > 0.0);
  vec3 centre = vec3(centres, heights * corners.z * prism.elevationScale);
  geometry.worldPosition = centre;
  vec3 offset = vec3(project_size(corners.xy * isShown), 0.0);
  gl_Position = project_position_to_clipspace(centre, vec3(centresLow, 0.0), offset, geometry.position);
  vColor = vec4(colors.rgb * mix(1.0, corners.w, prism.lit), colors.a * layer.opacity);
}
`;

const FRAGMENT = `#version 300 es
#define SHADER_NAME prism-layer-fragment-shader
precision highp float;
in vec4 vColor;
out vec4 fragColor;
void main(void) { fragColor = vColor; }
`;

/** Props: mesh (a CellMesh), version (a new one when its values changed), is3d, heightM. */
export class PrismLayer extends Layer {
  static layerName = 'PrismLayer';
  static defaultProps = {mesh: null, version: null, is3d: false, heightM: 1};

  initializeState() { this.#build(); }

  #build() {
    const {device} = this.context, {mesh} = this.props, buffer = data => device.createBuffer({data});
    const buffers = {centres: buffer(mesh.centres), centresLow: buffer(mesh.centresLow), corners: buffer(mesh.corners), colors: buffer(mesh.colors), heights: buffer(mesh.heights)};
    const [flat, standing] = [mesh.topIndices, mesh.indices].map(data => device.createBuffer({usage: Buffer.INDEX, data}));
    const model = new Model(device, {
      ...super.getShaders({vs: VERTEX, fs: FRAGMENT, modules: [project32, color, uniforms]}), id: this.props.id, topology: 'triangle-list', isInstanced: false,
      bufferLayout: [
        {name: 'centres', format: 'float32x2'}, {name: 'centresLow', format: 'float32x2'}, {name: 'corners', format: 'float32x4'},
        {name: 'colors', format: 'unorm8x4'}, {name: 'heights', format: 'float32'},
      ],
      attributes: buffers, indexBuffer: standing, vertexCount: mesh.indices.length,
    });
    this.setState({model, buffers, flat, standing});
  }

  updateState({props, oldProps}) {
    if (oldProps.mesh && oldProps.mesh !== props.mesh) {
      this.#release();
      this.#build();
    }
    if (props.version === oldProps.version) return;
    const {mesh, is3d} = props, {buffers} = this.state;
    buffers.colors.write(is3d ? mesh.colors : mesh.colors.subarray(0, mesh.numTop * 4));
    if (is3d) buffers.heights.write(mesh.heights);
  }

  draw() {
    const {model, flat, standing} = this.state, {mesh, is3d, heightM} = this.props;
    model.setIndexBuffer(is3d ? standing : flat);
    model.setVertexCount((is3d ? mesh.indices : mesh.topIndices).length);
    model.shaderInputs.setProps({prism: {elevationScale: is3d ? heightM : 0, lit: is3d ? 1 : 0}});
    model.draw(this.context.renderPass);
  }

  finalizeState(context) {
    super.finalizeState(context);
    this.#release();
  }

  #release() {
    const {model, buffers, flat, standing} = this.state;
    model.destroy();
    for (const buffer of [...Object.values(buffers), flat, standing]) buffer.destroy();
  }
}

/** Vertices of all cells: first all tops, then all walls, so that a flat map takes the first part only. */
export class CellMesh {
  constructor(topology, coverage) {
    const {count, shape} = topology, sides = shape.length;
    this.length = count;
    this.sides = sides;
    this.numTop = count * sides;
    const total = this.numTop * 5;
    this.centres = new Float32Array(total * 2);
    this.centresLow = new Float32Array(total * 2);
    this.corners = new Float32Array(total * 4);
    this.topIndices = new Uint32Array(count * (sides - 2) * 3);
    this.indices = new Uint32Array(this.topIndices.length + this.numTop * 6);
    this.colors = new Uint8Array(total * 4);
    this.heights = new Float32Array(total);
    const corners = shape.map(([x, y]) => [x * coverage, y * coverage]);
    for (let i = 0; i < count; i++) this.#addCell(i, topology.centre(i), corners);
  }

  #addCell(cell, centre, corners) {
    const {sides, numTop} = this, top = cell * sides, walls = numTop + top * 4, triangles = [];
    corners.forEach(([x, y], k) => {
      const next = corners[(k + 1) % sides], v = walls + k * 4, shade = shadeOf([x, y], next);
      this.#addVertex(top + k, centre, [x, y, 1, 1]);
      [[x, y, 0], [...next, 0], [...next, 1], [x, y, 1]].forEach((corner, j) => this.#addVertex(v + j, centre, [...corner, shade]));
      triangles.push(v, v + 1, v + 2, v, v + 2, v + 3);
    });
    const onTop = Array.from({length: sides - 2}, (_, k) => [top, top + k + 1, top + k + 2]).flat();
    this.topIndices.set(onTop, cell * onTop.length);
    triangles.push(...onTop);
    this.indices.set(triangles, cell * triangles.length);
  }

  #addVertex(i, [lon, lat], corner) {
    this.centres.set([lon, lat], i * 2);
    this.centresLow.set([lon - Math.fround(lon), lat - Math.fround(lat)], i * 2);
    this.corners.set(corner, i * 4);
  }

  /** `colors`: RGBA by cell; `heights`: 0 to 1 by cell. */
  show(colors, heights, is3d) {
    const {length: count, sides, numTop} = this, all = new Uint32Array(this.colors.buffer), one = new Uint32Array(colors.buffer, colors.byteOffset, count);
    for (let i = 0; i < count; i++) all.fill(one[i], i * sides, (i + 1) * sides);
    if (!is3d) return;
    for (let i = 0; i < count; i++) {
      const walls = numTop + i * sides * 4;
      all.fill(one[i], walls, walls + sides * 4);
      this.heights.fill(heights[i], i * sides, (i + 1) * sides);
      this.heights.fill(heights[i], walls, walls + sides * 4);
    }
  }
}

/** How bright a wall is, by the direction it faces. */
function shadeOf([x0, y0], [x1, y1]) {
  const length = Math.hypot(x1 - x0, y1 - y0), normal = [(y1 - y0) / length, (x0 - x1) / length];
  return SHADOW + DIFFUSE * Math.max(0, normal[0] * LIGHT[0] + normal[1] * LIGHT[1]);
}
