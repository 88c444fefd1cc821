// A passport for views that are looked at without a chain, in the form that the engine gives: a deal that is proven again and again, or one in
// whose receipt a byte was changed.

import { createHash } from 'node:crypto';

/** Digits that look like a hash or a signature, the same each time. */
const hex = (name, bytes = 32) => {
  let digits = '';
  for (let at = 0; digits.length < 2 * bytes; at += 1)
    digits += createHash('sha256').update(`${name} ${at}`).digest('hex');
  return digits.slice(0, 2 * bytes);
};
const cid = (name) => `bafy2bzace${hex(name, 26).replaceAll(/[01]/g, 'k')}`;
const MINER = 't2oeq6lvukoxh6tz2nlzhbqxmtnvajcdt4ppqbi4i';
const PAYER = 't1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za';
const DEAL = 'zDPWYqFD8tVxKhGpM5oMkD4hQSvQxjDgvpeDmB6ajkZZDCxB7Nvu';
const KEY = 'dc8b12f9a1e0b7a35b2f8ce1fa0c43b3d6c7d2a1f4b4c0b2ad7a1d5be30c9c5e';
const COMM_P = hex('commP');
const HEIGHT = 4_040;

const fact = (name, value) => ({ name, value: String(value) });
const artefact = (kind, facts, more = {}) => ({
  kind,
  facts: Object.entries(facts).map(([name, value]) => fact(name, value)),
  ...more,
});

const message = (kind, method, height, value = 0, more = {}) =>
  artefact(
    kind,
    {
      message: cid(`${method} ${height}`),
      method,
      from: kind === 'channel' ? PAYER : 't1n5pmyqbm6wd7bhq5p64gn52pf67pz5zrqxbtqcy',
      to: kind === 'channel' ? 't0102' : MINER,
      value,
      signature: hex(`signature ${method} ${height}`, 65),
      exitCode: 0,
      block: cid(`block ${height}`),
      receiptsRoot: hex(`root ${height}`),
      receiptPath: hex(`path ${height}`, 100),
      authoritySignature: hex(`authority ${height}`, 65),
    },
    { height, ...more },
  );

const answer = (kind, state, more = {}, rest = {}) =>
  artefact(
    kind,
    { state, deal: DEAL, worker: 't1n5pmyqbm6wd7bhq5p64gn52pf67pz5zrqxbtqcy', signature: hex(kind, 65), ...more },
    rest,
  );

function path(levels) {
  const steps = [];
  for (let at = 0; at < levels; at += 1) {
    steps.push({ sibling: hex(`sibling ${at}`), isLeft: at % 3 === 1, parent: hex(`parent ${at}`) });
  }
  return { commP: COMM_P, commD: steps.at(-1).parent, steps };
}

const holds = (bytes) => ({ bytes: hex(`proof ${bytes}`, bytes), verdict: 'holds', key: KEY });

/** Its steps, each with whose word it stands on, what was found, and what shows it. */
function steps() {
  const inclusion = path(6);
  const posts = Array.from({ length: 7 }, (_, index) =>
    message('post', 'submitPoSt', HEIGHT + 190 + 300 * index + ((index * 37) % 50), 0, {
      proof: holds(192),
    }),
  );
  return [
    ['file', 'checked', 'the file is this piece of 2400000 bytes', []],
    [
      'piece',
      'checked',
      `computed here from the data: root ${'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'}, commP ${COMM_P}`,
      [
        artefact('piece', {
          dataCid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
          size: 2_400_000,
          commP: COMM_P,
          pieceCid: 'bafkzcibdaubqg6t5q3sd4mjhlcegsw3k3xv5yyzqhd4ojcikzpefc5mbcmqkwiy',
        }),
      ],
    ],
    [
      'terms',
      'checked',
      `the proposal is what these terms come to: 2400000 bytes for 86400 blocks with ${MINER} cost 0.02 FIL`,
      [
        artefact('terms', {
          payer: PAYER,
          miner: MINER,
          price: '0.000000000000000096',
          duration: 86_400,
          sectorSize: 8 << 20,
          paidTo: 't1owner',
          start: 3_990,
        }),
      ],
    ],
    [
      'payment',
      'checked',
      'all 2 vouchers are signed by the payer and add up to the price; the message that opened the channel is in block 3992, as the header shows that the authority signed',
      [
        message('channel', 'createChannel', 3_992, 0.02),
        artefact('vouchers', {
          vouchers: 2,
          voucher: `0.01 FIL, block 47192, ${hex('voucher 1', 65)}`,
        }),
      ],
    ],
    [
      'proposal',
      'checked',
      `${PAYER} signed it; its id is ${DEAL}`,
      [
        artefact('proposal', {
          deal: DEAL,
          dataCid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
          total: 0.02,
          duration: 86_400,
          miner: MINER,
          payer: PAYER,
          signature: hex('proposal', 65),
        }),
      ],
    ],
    [
      'answer',
      'checked',
      'the worker t1n5pmyqbm6wd7bhq5p64gn52pf67pz5zrqxbtqcy signed that the miner takes the deal',
      [answer('accepted', 'accepted')],
    ],
    [
      'transfer',
      'checked',
      'the data went from here, every block named by its hash, and the miner signed that it has them',
      [answer('started', 'started')],
    ],
    [
      'check',
      'claimedByMiner',
      'the miner signed that it has staged the piece, which it does only after this check; that the commP is the agreed one is shown by the inclusion proof',
      [],
    ],
    ['staging', 'checked', 'the inclusion proof shows it in the data of sector 1', [answer('staged', 'staged')]],
    [
      'seal',
      'checked',
      `the proof of the commit shows that replica ${hex('commR')} encodes the data of sector 1`,
      [message('preCommit', 'preCommitSector', 4_010)],
    ],
    [
      'commit',
      'checked',
      `its proof was checked here, under the verifying key ${KEY}; the commit is in block ${HEIGHT}, as the header shows that the authority signed`,
      [
        message('commit', 'commitSector', HEIGHT, 0, { proof: holds(1_920) }),
        artefact('sealTicket', { ticket: hex('ticket', 65) }, { height: 3_900 }),
        artefact('sealSeed', { ticket: hex('seed', 65) }, { height: 4_020 }),
      ],
    ],
    [
      'inclusion',
      'checked',
      `commP leads over 6 hashes to commD ${inclusion.commD}, and the miner signed it`,
      [
        answer(
          'complete',
          'complete',
          {
            sector: 1,
            commD: inclusion.commD,
            commR: hex('commR'),
            commRStar: hex('commC'),
            message: cid(`commitSector ${HEIGHT}`),
          },
          { path: inclusion },
        ),
      ],
    ],
    ['proving', 'checked', 'all 7 proofs-of-spacetime that are here were checked, and hold', posts],
    [
      'redemption',
      'claimedByChain',
      "1 of the deal's vouchers redeemed by their payee; the last is in block 4900, as the chain says",
      [message('redemption', 'redeem', 4_900, 0)],
    ],
    ['retrieval', 'notYet', 'the file was not taken back yet', []],
  ].map(([step, standing, detail, artefacts], index) => ({ number: index + 1, step, standing, detail, artefacts }));
}

const LIMITS = [
  'The chain is a development chain of one authority: what it signs is true because it says so.',
  'Its proving keys come from a public seed: anybody who knows it can make a proof of what never was. That the data are there is shown by taking them back.',
  'A receipt tells of the past. Whether the data are stored today, it cannot say.',
];

const passport = (steps, conclusion, limits = LIMITS) => ({
  deal: DEAL,
  conclusion,
  // The client's own are of its own network.
  isKnownNetwork: conclusion !== 'wrong',
  genesis: 'bafy2bzacecdrqpl5dsp7qyqhsmrxirk3tnqz3w2rr3zfcpdkxjnltupn6hfsy',
  network: 'devnet',
  verifyingKeys: 'a12379550f2e40a12b0a36945268910c2a3401f606f50a53ad086ffbf8092180',
  steps,
  limits,
});

/** The client's own passport of a deal. */
export const wholePassport = () => passport(steps(), 'holds');

/** What a stranger has only somebody's word for. */
const STRANGERS = {
  file: { standing: 'claimedByClient', detail: 'a file of 2400000 bytes; the receipt does not contain it' },
  piece: {
    standing: 'claimedByClient',
    detail: `the client has signed root bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy and commP ${COMM_P}; with the file at hand they can be computed again`,
  },
  transfer: { standing: 'claimedByMiner', detail: 'the miner signed that it has the data' },
};

/** A stranger's receipt in which the miner's last answer was changed: what rests on it is not judged. */
export function changedPassport() {
  const because = 12;
  const found = steps().map((step) => {
    if (step.number === because) {
      return {
        ...step,
        standing: 'wrong',
        detail: "the answer complete is not signed by the miner's worker t1n5pmyqbm6wd7bhq5p64gn52pf67pz5zrqxbtqcy",
      };
    }
    if ([9, 10, 11, 13].includes(step.number)) {
      return {
        ...step,
        standing: 'unchecked',
        detail: 'not checked, because step 12, inclusion proof, is wrong',
        because,
      };
    }
    return { ...step, ...STRANGERS[step.step] };
  });
  const unseen = "Without the file, that CommP and data root are those of the same data is the client's word.";
  return passport(found, 'wrong', [...LIMITS, unseen]);
}
