// Runs frames (firmware/test/replay.h, RGB888) through the page's module:
// node module_replay.mjs FIRMWARE_JS MODULE FRAMES prints a JSON line a frame.
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const [script, program, frames] = process.argv.slice(2);
const {Firmware} = await import(pathToFileURL(script));
const module = new WebAssembly.Module(readFileSync(program));
if (WebAssembly.Module.imports(module).length) {
  throw new Error('the module imports something');
}
const firmware = new Firmware(module);
const bytes = readFileSync(frames);
const HEAD = 48;
for (let at = 0; at < bytes.length;) {
  const timeUs = Number(bytes.readBigInt64LE(at));
  const [width, height] = [32, 36].map((place) => bytes.readUInt32LE(at + place));
  const pixels = bytes.subarray(at + HEAD, at + HEAD + 3 * width * height);
  for (let pixel = 0; pixel < width * height; ++pixel) {
    firmware.pixels.set(pixels.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    firmware.pixels[4 * pixel + 3] = 255;
  }
  console.log(JSON.stringify(firmware.push(width, height, timeUs)));
  at += HEAD + pixels.length;
}
