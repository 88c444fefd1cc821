// A receipt taken apart as far as a test needs: where in the file each artefact's bytes are, so that one of them can be changed.

/** The kinds by their numbers, each with the step that it shows: as `ArtefactKind` in `shared/src/client/passport/artefact.rs` has them. */
export const KINDS = {
  1: ['manifest', 1],
  2: ['piece', 2],
  3: ['terms', 3],
  4: ['channel', 4],
  5: ['vouchers', 4],
  6: ['proposal', 5],
  7: ['accepted', 6],
  8: ['started', 7],
  9: ['staged', 9],
  10: ['preCommit', 10],
  11: ['commit', 11],
  12: ['sealTicket', 11],
  13: ['sealSeed', 11],
  14: ['complete', 12],
  15: ['post', 13],
  16: ['redemption', 14],
  17: ['retrieved', 15],
};

/** The head of a CBOR item at a position: its major type, its number, and where its content begins. */
function head(bytes, at) {
  const [major, short] = [bytes[at] >> 5, bytes[at] & 31];
  if (short < 24) return { major, number: short, start: at + 1 };
  const width = 1 << (short - 24);
  let number = 0;
  for (let index = 1; index <= width; index += 1) number = number * 256 + bytes[at + index];
  return { major, number, start: at + 1 + width };
}

/** Where the item at a position ends. */
function end(bytes, at) {
  const { major, number, start } = head(bytes, at);
  if (major === 2 || major === 3) return start + number;
  if (major === 6) return end(bytes, start);
  let next = start;
  for (let items = major === 4 ? number : major === 5 ? 2 * number : 0; items > 0; items -= 1) next = end(bytes, next);
  return next;
}

/** All artefacts of a receipt in their order: what each is, the step that it shows, and where its bytes are. */
export function artefactsOf(receipt) {
  const envelope = head(receipt, 0);
  let at = envelope.start;
  for (let pairs = envelope.number; pairs > 0; pairs -= 1) {
    const key = head(receipt, at);
    const value = end(receipt, at);
    if (receipt.subarray(key.start, value).toString() === 'artefacts') return artefactsAt(receipt, value);
    at = end(receipt, value);
  }
  throw new Error('the receipt has no artefacts');
}

function artefactsAt(receipt, list) {
  const found = [];
  const { number, start } = head(receipt, list);
  let at = start;
  for (let items = number; items > 0; items -= 1) {
    const kind = head(receipt, head(receipt, at).start);
    const bytes = head(receipt, kind.start);
    const [name, step] = KINDS[kind.number];
    found.push({ kind: name, step, from: bytes.start, size: bytes.number });
    at = end(receipt, at);
  }
  return found;
}

/** The receipt with one bit changed in the middle of an artefact. */
export function flipped(receipt, { from, size }) {
  const changed = Buffer.from(receipt);
  changed[from + (size >> 1)] ^= 1;
  return changed;
}
