/**
 * The message from Python: `CMAP`, the header's length, a JSON header, then raw little-endian arrays.
 * In the header `{"$": "u16", "at": 128, "count": 1024}` stands for one of those arrays.
 */
const TYPES = {u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array};
const MAGIC = 0x50414d43;
const ALIGNMENT = 8;

/** The digest that begins the header, read without decoding the rest: most messages are not new. */
export function readDigest(data) {
  if (!(data instanceof Uint8Array)) throw new Error(`The map's data arrived as ${typeof data}, not as bytes.`);
  return /^\{"digest":"([0-9a-f]+)"/.exec(new TextDecoder().decode(data.subarray(8, 64)))?.[1];
}

export function decodePayload(data) {
  const bytes = data.slice(); // aligned, and the message it was part of can go
  const view = new DataView(bytes.buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("The map's data is not in its own format.");
  const headerEnd = 8 + view.getUint32(4, true);
  const arraysBegin = Math.ceil(headerEnd / ALIGNMENT) * ALIGNMENT;
  const text = new TextDecoder().decode(bytes.subarray(8, headerEnd));
  return JSON.parse(text, (_, value) =>
    value && TYPES[value.$] ? new TYPES[value.$](bytes.buffer, arraysBegin + value.at, value.count) : value);
}

/** Base64 of an array's bytes, for the way back to Python. */
export function encodeArray(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (bytes.toBase64) return bytes.toBase64();
  const parts = [];
  for (let i = 0; i < bytes.length; i += 0x8000) parts.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
  return btoa(parts.join(''));
}
