/**
 * The names of a file, without a chain or a miner: CommP (the piece CID of Filecoin tools) and data root.
 *
 * ```ts
 * import { computePiece } from 'sealdrop-client/piece';
 * const { pieceCid, dataCid } = await computePiece(file, { onProgress: ({ done, total }) => console.log(done / total) });
 * ```
 */

export { SealdropError } from './errors.js';
export { computeFiles } from './files.js';
export { computePiece, resumePiece } from './pieces.js';
export type {
  EachProgress,
  FileInput,
  FilePiece,
  FilesOptions,
  HashedFile,
  HashedSlice,
  Piece,
  PieceNode,
  PieceOptions,
  Progress,
  RunOptions,
} from './types.js';
