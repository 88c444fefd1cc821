// What js-libp2p 3 and Helia need of Node 22 and an older one lacks.

import threads from 'node:worker_threads';
import zlib from 'node:zlib';
import WebSocket from 'ws';

globalThis.WebSocket ??= WebSocket;
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
// Looked up by undici 8 when it is loaded; nothing here is cloned, and no answer compressed so.
threads.markAsUncloneable ??= () => {};
zlib.createZstdDecompress ??= () => {
  throw new Error('this Node has no zstd');
};
