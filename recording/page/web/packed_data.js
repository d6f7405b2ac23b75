// The block of JSON: arrays of numbers, and pictures.

const ARRAYS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  float64: Float64Array,
};
const MAX_PICTURES = 160; // decoded pictures

/** Return the bytes of base64. */
function bytesOf(text) {
  const letters = atob(text),
    bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Return the numbers of a packed array, without its shape. */
export async function readArray(packed) {
  const stream = new Blob([bytesOf(packed.data)]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("deflate"));
  return new ARRAYS[packed.type](await new Response(plain).arrayBuffer());
}

/** Return all arrays of an episode by name. */
export async function readArrays(packed) {
  const names = Object.keys(packed);
  const arrays = await Promise.all(names.map((name) => readArray(packed[name])));
  return Object.fromEntries(names.map((name, i) => [name, arrays[i]]));
}

/** The pictures of the page, decoded when they are needed; the latest are cached. */
export class Pictures {
  constructor(encoded) {
    this.encoded = encoded;
    this.cache = new Map();
  }

  /** Return a picture that was made ready, or null. */
  get(n) {
    return this.cache.get(n)?.picture ?? null;
  }

  /** Make a picture ready. */
  async ready(n) {
    if (n < 0) return;
    let entry = this.cache.get(n);
    this.cache.delete(n);
    if (!entry) {
      entry = { picture: null };
      entry.done = createImageBitmap(new Blob([bytesOf(this.encoded[n])])).then((picture) => {
        entry.picture = picture;
      });
    }
    this.cache.set(n, entry); // last in, last out
    while (this.cache.size > MAX_PICTURES) this.cache.delete(this.cache.keys().next().value);
    await entry.done;
  }
}
