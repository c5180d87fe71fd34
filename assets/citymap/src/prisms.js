/**
 * The coloured cells as one mesh: a column is a top and its walls. deck.gl's ColumnLayer draws one instance
 * a cell, and without a graphics card each instance costs as much as a whole draw. The mesh stays as it is;
 * a cell's colour and height are one texel each, so that new values are two small uploads.
 */
import {Layer, color, project32} from '@deck.gl/core';
import {Buffer} from '@luma.gl/core';
import {Model} from '@luma.gl/engine';

/** Light from above leaves the top of a column in its legend's colour and shades its sides. */
const LIGHT = [0.2, 0.34];
const SHADOW = 0.62;
const DIFFUSE = 0.44;
const TEXELS_WIDE = 128;

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
#define TEXELS_WIDE ${TEXELS_WIDE}
in vec2 centres;
in vec2 centresLow;
in vec4 corners;   // offset in metres, 1 on the ground's upper end, shade
in float cells;
uniform highp sampler2D colors;
uniform highp sampler2D heights;
out vec4 vColor;
void main(void) {
  int cell = int(cells);
  ivec2 texel = ivec2(cell % TEXELS_WIDE, cell / TEXELS_WIDE);
  vec4 ownColor = texelFetch(colors, texel, 0);
  float ownHeight = texelFetch(heights, texel, 0).r;
  float isShown = float(ownColor.a > 0.0);
  vec3 centre = vec3(centres, ownHeight * corners.z * prism.elevationScale);
  geometry.worldPosition = centre;
  vec3 offset = vec3(project_size(corners.xy * isShown), 0.0);
  gl_Position = project_position_to_clipspace(centre, vec3(centresLow, 0.0), offset, geometry.position);
  vColor = vec4(ownColor.rgb * mix(1.0, corners.w, prism.lit), ownColor.a * layer.opacity);
}
`;

const FRAGMENT = `#version 300 es
#define SHADER_NAME prism-layer-fragment-shader
precision highp float;
in vec4 vColor;
out vec4 fragColor;
void main(void) { fragColor = vColor; }
`;

/** Props: mesh (a CellMesh), values (CellValues), version (a new one when they changed), is3d, heightM. */
export class PrismLayer extends Layer {
  static layerName = 'PrismLayer';
  static defaultProps = {mesh: null, values: null, version: null, is3d: false, heightM: 1};

  initializeState() { this.#build(); }

  #build() {
    const {device} = this.context, {mesh, values} = this.props, buffer = data => device.createBuffer({data});
    const buffers = {centres: buffer(mesh.centres), centresLow: buffer(mesh.centresLow), corners: buffer(mesh.corners), cells: buffer(mesh.cells)};
    const [flat, standing] = [mesh.topIndices, mesh.indices].map(data => device.createBuffer({usage: Buffer.INDEX, data}));
    const texture = format => device.createTexture({format, width: TEXELS_WIDE, height: values.rows, sampler: {minFilter: 'nearest', magFilter: 'nearest'}});
    const textures = {colors: texture('rgba8unorm'), heights: texture('r32float')};
    const model = new Model(device, {
      ...super.getShaders({vs: VERTEX, fs: FRAGMENT, modules: [project32, color, uniforms]}), id: this.props.id, topology: 'triangle-list', isInstanced: false,
      bufferLayout: [
        {name: 'centres', format: 'float32x2'}, {name: 'centresLow', format: 'float32x2'}, {name: 'corners', format: 'float32x4'}, {name: 'cells', format: 'float32'},
      ],
      attributes: buffers, bindings: textures, indexBuffer: standing, vertexCount: mesh.indices.length,
    });
    this.setState({model, textures, owned: [model, flat, standing, ...Object.values(buffers), ...Object.values(textures)], flat, standing});
  }

  updateState({props, oldProps}) {
    if (oldProps.mesh && oldProps.mesh !== props.mesh) {
      this.#release();
      this.#build();
    }
    if (props.version === oldProps.version) return;
    const {colors, heights} = this.state.textures;
    colors.writeData(props.values.colors);
    heights.writeData(props.values.heights);
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
    for (const resource of this.state.owned) resource.destroy();
  }
}

/** Colours (RGBA) and heights (0 to 1) of `count` cells, in whole rows of texels. */
export class CellValues {
  constructor(count) {
    this.rows = Math.max(1, Math.ceil(count / TEXELS_WIDE));
    this.colors = new Uint8Array(this.rows * TEXELS_WIDE * 4);
    this.heights = new Float32Array(this.rows * TEXELS_WIDE);
  }
}

/** Vertices of all cells: first all tops, then all walls. */
export class CellMesh {
  constructor(topology, coverage) {
    const {count, shape} = topology, sides = shape.length;
    this.length = count;   // what deck.gl wants of data
    this.sides = sides;
    this.numTop = count * sides;
    const total = this.numTop * 5;
    this.centres = new Float32Array(total * 2);
    this.centresLow = new Float32Array(total * 2);
    this.corners = new Float32Array(total * 4);
    this.topIndices = new Uint32Array(count * (sides - 2) * 3);
    this.indices = new Uint32Array(this.topIndices.length + this.numTop * 6);
    this.cells = new Float32Array(total);
    const corners = shape.map(([x, y]) => [x * coverage, y * coverage]);
    for (let i = 0; i < count; i++) this.#addCell(i, topology.centre(i), corners);
  }

  #addCell(cell, centre, corners) {
    const {sides, numTop} = this, top = cell * sides, walls = numTop + top * 4, triangles = [];
    corners.forEach(([x, y], k) => {
      const next = corners[(k + 1) % sides], v = walls + k * 4, shade = shadeOf([x, y], next);
      this.#addVertex(top + k, cell, centre, [x, y, 1, 1]);
      [[x, y, 0], [...next, 0], [...next, 1], [x, y, 1]].forEach((corner, j) => this.#addVertex(v + j, cell, centre, [...corner, shade]));
      triangles.push(v, v + 1, v + 2, v, v + 2, v + 3);
    });
    const onTop = Array.from({length: sides - 2}, (_, k) => [top, top + k + 1, top + k + 2]).flat();
    this.topIndices.set(onTop, cell * onTop.length);
    triangles.push(...onTop);
    this.indices.set(triangles, cell * triangles.length);
  }

  #addVertex(i, cell, [lon, lat], corner) {
    this.cells[i] = cell;
    this.centres.set([lon, lat], i * 2);
    this.centresLow.set([lon - Math.fround(lon), lat - Math.fround(lat)], i * 2);
    this.corners.set(corner, i * 4);
  }
}

/** How bright a wall is, by the direction it faces. */
function shadeOf([x0, y0], [x1, y1]) {
  const length = Math.hypot(x1 - x0, y1 - y0), normal = [(y1 - y0) / length, (x0 - x1) / length];
  return SHADOW + DIFFUSE * Math.max(0, normal[0] * LIGHT[0] + normal[1] * LIGHT[1]);
}
