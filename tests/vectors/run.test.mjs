// The specification's test vectors in this WebAssembly engine: one test for each check of the module, which
// `cargo xtask test` compiles and names in SEALDROP_VECTORS.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';

const FILE =
  process.env.SEALDROP_VECTORS ??
  resolve(import.meta.dirname, '../../target/wasm/wasm32-unknown-unknown/wasm-client/sealdrop_vectors.wasm');
const module = await WebAssembly.compile(readFileSync(FILE));

/** Text that lies in an instance's memory. */
function text({ memory }, start, length) {
  return new TextDecoder().decode(new Uint8Array(memory.buffer, start, length));
}

const { exports: list } = await WebAssembly.instantiate(module);

test('the module has checks', () => assert.ok(list.count() > 0));

for (let index = 0; index < list.count(); index += 1) {
  test(`in WebAssembly: ${text(list, list.name(index), list.name_length(index))}`, async () => {
    const { exports } = await WebAssembly.instantiate(module);
    try {
      exports.run(index);
    } catch (trap) {
      assert.ok(trap instanceof WebAssembly.RuntimeError, trap);
      assert.fail(text(exports, exports.message(), exports.message_length()));
    }
  });
}
