// What js-libp2p 3 needs of Node 22 and an older one lacks.

import WebSocket from 'ws';

globalThis.WebSocket ??= WebSocket;
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
