// Rules of the page's player that need no browser: which bytes a `Range` header means, and as what a stored file is shown.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { test } from 'node:test';

const WWW = resolve(import.meta.dirname, '../../www');
const { build } = createRequire(resolve(WWW, 'package.json'))('esbuild');

/** A module of the page. */
async function load(name) {
  const entryPoints = [resolve(WWW, 'src', name)];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}
const { askedRange } = await load('play-messages.ts');
const { shownAs } = await load('kinds.ts');

test('a range is read as browsers mean it, and one that lies outside is not satisfied', () => {
  for (const [header, expected] of [
    ['bytes=0-', { from: 0, to: 100 }],
    ['bytes=0-0', { from: 0, to: 1 }],
    ['bytes=40-49', { from: 40, to: 50 }],
    ['bytes=90-1000', { from: 90, to: 100 }],
    ['bytes=-10', { from: 90, to: 100 }],
    ['bytes=-1000', { from: 0, to: 100 }],
    ['bytes=99-', { from: 99, to: 100 }],
    ['bytes=100-', 'nothing'],
    ['bytes=-0', 'nothing'],
    ['bytes=99999999999999999999-', 'nothing'],
  ]) {
    assert.deepEqual(askedRange(header, 100), expected, header);
  }
  for (const header of [null, '', 'bytes=', 'bytes=-', 'bytes=5-2', 'bytes=0-1,3-4', 'items=0-1', 'bytes=a-b']) {
    assert.equal(askedRange(header, 100), 'all', String(header));
  }
  assert.equal(askedRange('bytes=0-', 0), 'nothing');
});

test('what a browser would run is shown as text, and SVG as an image, in which nothing runs', () => {
  for (const [name, type, kind, shown] of [
    ['a.html', '', 'text', 'text/plain'],
    ['a.bin', 'text/html', 'text', 'text/plain'],
    ['a', 'text/javascript; charset=utf-8', 'text', 'text/plain'],
    ['a.js', 'application/javascript', 'text', 'text/plain'],
    ['a.xhtml', 'application/xhtml+xml', 'text', 'text/plain'],
    ['a.svg', '', 'image', 'image/svg+xml'],
    ['A.JPG', '', 'image', 'image/jpeg'],
    ['film.webm', 'video/webm', 'video', 'video/webm'],
    ['no end', 'video/mp4', 'video', 'video/mp4'],
    ['a.mp3', 'application/octet-stream', 'audio', 'audio/mpeg'],
    ['a.pdf', '', 'pdf', 'application/pdf'],
  ]) {
    assert.deepEqual(shownAs(name, type), { kind, type: shown }, `${name} ${type}`);
  }
  for (const [name, type] of [
    ['a.bin', ''],
    ['a.zip', 'application/zip'],
    ['a.swf', 'application/x-shockwave-flash'],
    ['pdf', ''],
    ['', ''],
    // Ends of names that every object knows.
    ['a.constructor', ''],
    ['a.__proto__', ''],
  ]) {
    assert.equal(shownAs(name, type), undefined, `${name} ${type}`);
  }
});
