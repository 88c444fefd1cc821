// English: the operator's settings.

import { count, plural } from '../numbers';

export const settings = {
  groups: { offer: 'The offer', taking: 'Taking deals', proving: 'Proving and payment', keeping: 'Keeping data' },
  units: {
    filByteBlock: 'FIL per byte and block',
    filGibMonth: 'FIL per GiB and 30 days',
    blocks: 'blocks',
    seconds: 'seconds',
    hours: 'hours',
    days: 'days',
    mib: 'MiB',
    gib: 'GiB',
    mibSecond: 'MiB a second',
    proofs: 'proofs',
    deals: 'deals',
  },
  perMonth: 'The same, for a month',
  noMonth: 'The chain’s blocks have no fixed time, so there is no price for a month.',
  fields: {
    price: { name: 'Price', means: 'What clients pay. A change publishes a new ask on the chain.' },
    askBlocks: { name: 'An ask stands for', means: 'It is renewed before that is over.' },
    minDuration: { name: 'Shortest deal', means: 'Shorter ones are refused.' },
    maxDuration: { name: 'Longest deal', means: 'Longer ones are refused.' },
    mining: { name: 'Take new deals', means: 'Without, what was taken is sealed and proven as before.' },
    stagingMaxBytes: {
      name: 'Data that may wait to be sealed',
      means: 'With more, new deals are refused for a while.',
    },
    stagingMaxDeals: {
      name: 'Deals that may wait to be sealed',
      means: 'With more, new ones are refused for a while.',
    },
    transferLimitMs: { name: 'A transfer may take', means: 'After that an accepted deal fails.' },
    autoSealMs: {
      name: 'A sector waits for more pieces',
      means: 'Counted from its first piece. Longer fills sectors better, shorter seals sooner.',
    },
    memoryMib: { name: 'Memory for proving', means: 'More lets more be done at once.' },
    commit2Slots: { name: 'Seals proven at once', means: 'Each takes processor time and memory.' },
    ownProver: {
      name: 'Use the own prover',
      means: 'Faster; the library checks and stands behind it. Without, the library does everything.',
    },
    redeem: { name: 'Redeem vouchers as they fall due', means: 'Without, you redeem each deal yourself.' },
    slash: { name: 'Report miners that miss their proofs', means: 'The chain takes their collateral.' },
    keepUnsealed: { name: 'Keep data unsealed, too', means: 'It is given back at once, and takes twice the room.' },
    scrubEveryMs: { name: 'Read each sector every', means: 'Finds damage before somebody needs the data.' },
    scrubBytesPerSecond: { name: 'Speed of that reading', means: 'Slower leaves more of the disk to other work.' },
  },
  auto: {
    machine: 'Nothing set: as the machine allows.',
    size: 'Nothing set: as the sector size suggests.',
    never: 'Nothing set: never.',
    unlimited: 'Nothing set: as fast as it can.',
  },
  isAbout: (span: string) => `That is about ${span}.`,
  is: (span: string) => `That is ${span}.`,
  noNumber: 'This is no number.',
  changes: (n: number) => plural(n, { one: 'One change is not saved.', other: `${count(n)} changes are not saved.` }),
  wrong: (n: number) => plural(n, { one: 'One field cannot be read.', other: `${count(n)} fields cannot be read.` }),
  save: 'Save',
  discard: 'Discard',
  saved: 'Saved. It holds from now on.',
  savedAsk: (height: string) => `Saved. The new ask is in block ${height}.`,
  refused: 'Nothing was changed',
};
