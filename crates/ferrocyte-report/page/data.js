"use strict";

// The data of the page: arrays by their numbers, unpacked when they are first asked for.

const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };
const MISSING = { u8: 0xff, u16: 0xffff, u32: 0xffffffff };
const unpacked = new Map();

/** The bytes of an array, unpacked once. */
function bytesOf(number) {
  if (!unpacked.has(number)) unpacked.set(number, unpack(document.getElementById(`blob-${number}`)));
  return unpacked.get(number);
}

async function unpack(element) {
  const letters = atob(element.textContent);
  element.remove();
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What a description stands for: a typed array, or what JSON said. */
async function valuesOf(told) {
  const bytes = await bytesOf(told.blob);
  if (told.type === "json") return JSON.parse(new TextDecoder().decode(bytes));
  return new TYPES[told.type](bytes.buffer, 0, bytes.byteLength / TYPES[told.type].BYTES_PER_ELEMENT);
}

/** The names of the genes that can colour cells. */
async function geneNames(about) {
  return about.expression ? valuesOf(about.expression.genes) : [];
}

/** The values of a gene in the cells that are drawn, by its place among the names. */
async function geneValues(about, place) {
  const { stored } = about.expression;
  const [bytes, ends, low, high] = await Promise.all([
    bytesOf(stored.blocks[Math.floor(place / stored.block)]),
    valuesOf(stored.ends), valuesOf(stored.low), valuesOf(stored.high),
  ]);
  let at = place % stored.block === 0 ? 0 : ends[place - 1];
  const number = () => {
    let value = 0, shift = 0, byte;
    do { byte = bytes[at++]; value += (byte & 0x7f) * 2 ** shift; shift += 7; } while (byte & 0x80);
    return value;
  };
  const values = new Float32Array(about.cells.shown);
  const n = number(), cells = new Uint32Array(n);
  for (let i = 0, cell = 0; i < n; i++) cells[i] = cell += number();
  const step = (high[place] - low[place]) / 255;
  for (let i = 0; i < n; i++) values[cells[i]] = low[place] + bytes[at + i] * step;
  return values;
}
