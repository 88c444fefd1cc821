export default {
  base: './',
  logLevel: 'info',
  // Pre-bundled, the package would lose its workers.
  optimizeDeps: { exclude: ['sealdrop-client'] },
  worker: { format: 'es' },
};
