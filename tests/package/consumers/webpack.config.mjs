export default {
  mode: 'production',
  entry: './main.js',
  performance: { hints: false },
  experiments: { outputModule: true },
  output: { module: true, filename: '[name].js', publicPath: 'auto' },
};
