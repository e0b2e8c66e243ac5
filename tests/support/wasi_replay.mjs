// Runs a program of WASI: node wasi_replay.mjs PROGRAM FOLDER WORD...
// FOLDER is its working directory, and all that it sees.
import {readFileSync} from 'node:fs';
import {WASI} from 'node:wasi';

const [program, folder, ...words] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1',
  args: [program, ...words],
  preopens: {'.': folder},
});
const module = new WebAssembly.Module(readFileSync(program));
const instance = new WebAssembly.Instance(module, wasi.getImportObject());
process.exit(wasi.start(instance));
