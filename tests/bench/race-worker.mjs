// The race in a worker of the browser.

// Set before the packages are loaded: one of them waits for its own module then, and a message would be lost meanwhile.
self.onmessage = async ({ data: { client, module, rounds } }) => {
  try {
    const [{ race }, { Commp }] = await Promise.all([import('./contenders.mjs'), import(client)]);
    self.postMessage({ costs: await race(Commp, module, rounds) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
