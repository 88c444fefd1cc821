// English: the deal book, and a deal's page with its journey, its money, its checks and the way back.

import { count, plural } from '../numbers';
import { type Part, say } from '../say';

export const book = {
  title: 'Deal book',
  lead: 'Every file that this browser stored, and its deals. The book is kept here, not on a server.',
  none: 'No deals yet',
  noneMeans:
    'Store a file, and its deal is entered here: what was promised, where it lies, and how often it was proven.',
  storeOne: 'Store a file',
  list: 'Files and deals',
  search: 'Search',
  searchFor: 'Name, id, miner or state',
  show: 'Show',
  all: 'All',
  working: 'Under way',
  kept: 'Stored',
  trouble: 'Needs you',
  over: 'Over',
  sort: 'Order',
  newest: 'Newest first',
  oldest: 'Oldest first',
  byName: 'By name',
  largest: 'Largest first',
  found: (n: number, all: number) =>
    n === all
      ? plural(all, { one: `${count(all)} entry`, other: `${count(all)} entries` })
      : `${count(n)} of ${plural(all, { one: `${count(all)} entry`, other: `${count(all)} entries` })}`,
  nothingFound: 'Nothing in the book fits that.',
  clear: 'Show everything',
  more: (n: number) => `Show ${count(n)} more`,
  offline: 'The network is away. This is the book as this browser keeps it: what has happened since is not in it yet.',
  foundInside: (paths: string, more: number) =>
    more > 0 ? `inside: ${paths}, and ${count(more)} more` : `inside: ${paths}`,
  contents: 'What is inside',
  inside: (n: number) =>
    plural(n, { one: `${count(n)} file, on its page`, other: `All ${count(n)} files, on its page` }),
  timeOver: 'time is over',
  fileKept: 'kept',
  notKept: 'not kept',
  givenUp: 'given up',
  fewerCopies: 'fewer copies',
  delayed: 'delayed',
  sending: 'sending',
  sealing: 'sealing',
  failed: 'failed',
  sealedOf: (kept: number, wanted: number) => `${count(kept)} of ${count(wanted)} sealed`,
  miner: (address: string) => `miner ${address}`,
  moneyBack: 'its money is on its way back',
  seeWhy: 'see why, and try again',
  proofs: (n: number, shown: Part) =>
    plural(n, { one: say`${shown} proof of spacetime`, other: say`${shown} proofs of spacetime` }),
};

/** The steps of a deal: when it is done, while it is being done, what it means, what goes on once it is reached. */
export const steps = {
  drafted: {
    name: 'drafted',
    done: 'Proposal drawn up',
    doing: 'Drawing up the proposal',
    meaning:
      'Your browser measures the file, computes its commitment, and checks the terms with the miner’s own rules.',
    next: 'opening the payment channel',
  },
  channel: {
    name: 'channel',
    done: 'Payment channel opened',
    doing: 'Opening a payment channel',
    meaning:
      'The price is set aside on the chain. Signed vouchers give the miner a claim on it bit by bit, while it proves that it stores the file.',
    next: 'signing',
  },
  signed: {
    name: 'signed',
    done: 'Vouchers and proposal signed',
    doing: 'Signing vouchers and proposal',
    meaning: 'This happens here, with a key that never leaves this browser.',
    next: 'waiting for the miner’s answer',
  },
  accepted: {
    name: 'accepted',
    done: 'Accepted by the miner',
    doing: 'Waiting for the miner’s answer',
    meaning: 'The miner reviews every term and answers with its signature.',
    next: 'sending the file',
  },
  transferred: {
    name: 'transferred',
    done: 'File transferred',
    doing: 'Sending the file',
    meaning:
      'The miner asks for the blocks it lacks and checks each one on arrival, so a broken connection loses nothing.',
    next: 'being checked by the miner',
  },
  staged: {
    name: 'staged',
    done: 'Checked and placed in a sector',
    doing: 'The miner checks the file',
    meaning: 'The miner must compute the same commitment from what arrived; then the file gets its place in a sector.',
    next: 'being sealed',
  },
  sealing: {
    name: 'sealing',
    done: 'Sealed, and announced on the chain',
    doing: 'Sealing the sector',
    meaning:
      'The sector is encoded, layer upon layer, into a copy of the miner’s own, and its commitment goes on the chain.',
    next: 'the seal is being proven',
  },
  complete: {
    name: 'complete',
    done: 'Complete: proven on the chain',
    doing: 'Proving the seal',
    meaning:
      'The miner proves that it did that work; the chain verifies the proof, and your browser that your file is inside the sector.',
    next: 'waiting for the first proof of spacetime',
  },
  proven: {
    name: 'proven',
    done: 'First proof of spacetime',
    doing: 'Waiting for the first proof of spacetime',
    meaning: 'In every proving window the miner must show, with fresh randomness, that it still holds the sector.',
    next: 'proven again in every window',
  },
};

export const journey = {
  title: 'The journey',
  failedAloud: 'The deal failed.',
  nowAloud: (doing: string) => `Now: ${doing}.`,
  status: { done: 'done', now: 'under way', later: 'to come', failed: 'failed' },
  sent: 'Sent to the miner',
  sentShare: (share: string) => `${share} sent`,
  underWay: 'Under way',
  underWayEstimated: 'Under way, estimated',
  noWindow: 'The chain has set no window yet.',
  opensIn: (blocks: Part, span: string) => say`The window opens in ${blocks} blocks, about ${span}.`,
  isOpen: (height: Part, end: Part) => say`The window is open; the miner proves now. Block ${height}, until ${end}.`,
  mayClose:
    'The miner has the whole file. You may close this page: the deal goes on, and the page catches up when you return.',
  keepOpen: 'Please keep this page open until the file is transferred: the miner fetches it from this browser.',
};

export const why = {
  title: 'Why is it not done yet?',
  failed: 'The reason could not be fetched',
  goingBy: (basis: Part) => say`going by ${basis}`,
  noEstimate: 'There is no estimate yet',
  anyMoment: 'It should be complete any moment',
  in: (span: string) => `Complete in about ${span}`,
  inEarliest: (span: string, earliest: string) => `Complete in about ${span}, at the earliest in ${earliest}`,
};

export const deal = {
  failed: 'failed',
  begun: (moment: string) => `begun ${moment}`,
  connected: 'connected to the miner',
  notConnected: 'not connected to the miner',
  impression: 'This seal’s impression is drawn from the sector’s commitment.',
  giveUp: 'Give this deal up',
  forget: 'Forget this deal',
  forgetWhenBack: 'It can be forgotten once its money is back.',
  forgetWhenOver: 'This deal can be forgotten once it is over and what is left of its money is back.',
  itFailed: 'This deal failed',
  again: 'You can try again, with a new proposal at the miner’s present price',
  fileGone: 'The miner still needs the file, and it is gone from here',
  delayed: 'Delayed; it is tried again automatically',
  tryNow: 'Try again now',
  title: 'The deal',
  miner: 'Miner',
  minerAddress: 'miner address',
  duration: 'Duration',
  lasts: (blocks: string, span: string | undefined) => (span === undefined ? blocks : `${blocks}, about ${span}`),
  price: 'Price',
  lastAnswer: 'The miner’s last answer',
  askNow: 'Ask now',
  id: 'Deal id',
  idCopy: 'deal id',
  notInForce: 'no longer in force',
  onceSigned: 'known once it is signed',
  dataId: 'Data (IPFS) id',
  dataIdCopy: 'data id',
  pieceId: 'Piece id',
  pieceIdCopy: 'piece id',
  notAskable: 'The miner could not be asked',
  notThisTime: 'It did not work this time either',
  giveUpReally: (name: string) =>
    `Give the deal for “${name}” up? What is set aside for it comes back when its payment channel ends.`,
  notGivenUp: 'The deal could not be given up',
  forgetReally: (name: string) => `Forget the deal for “${name}”?`,
  forgetStored: (name: string) =>
    `Forget the deal for “${name}”? The miner goes on storing it, but this browser can no longer follow the deal or take the file back.`,
  notRemoved: 'The deal could not be removed',
  notAsked: 'not asked lately',
  answered: (state: string, at: string) => `${state}, ${at}`,
  answeredWhy: (state: string, why: Part, at: string) => say`${state}: ${why}, ${at}`,
  answers: {
    unknown: 'unknown',
    rejected: 'rejected',
    accepted: 'accepted',
    started: 'started',
    failed: 'failed',
    staged: 'staged',
    complete: 'complete',
  },
  missing: 'This deal is not in the book',
  missingMeans:
    'Deals are kept in the browser that made them. It may have been forgotten here, or made in another browser.',
  chosen: 'Chosen',
  chosenBy: {
    cheapest: 'as the cheapest',
    nearest: 'as the nearest',
    spread: 'as the one with the fewest deals of yours',
  },
  passedOver: (miner: Part, reason: Part) => say`not ${miner}: ${reason}`,
};

export const proving = {
  title: 'Proofs of spacetime',
  accepted: 'accepted by the chain',
  firstDue: 'The first one falls due in the next window.',
  last: (height: number) => `The last one at block ${count(height)}.`,
  lastAgo: (height: number, span: string) => `The last one at block ${count(height)}, about ${span} ago.`,
  noWindow: 'The chain has set no window yet.',
  untilOpens: (first: number, last: number) => `until the next window opens · blocks ${count(first)} to ${count(last)}`,
  untilClosesProven: (first: number, last: number) =>
    `until this window closes; already proven in it · blocks ${count(first)} to ${count(last)}`,
  untilCloses: (first: number, last: number) =>
    `until the open window closes · blocks ${count(first)} to ${count(last)}`,
};

export const checks = {
  title: 'Check it yourself',
  lead: 'Your browser compares what the miner said with what the chain has on record, without trusting the miner.',
  inclusion: {
    title: 'Your file is inside',
    meaning: 'A chain of hashes leads from your file’s commitment to that of the whole sector.',
  },
  commitMessage: {
    title: 'The seal is on the chain',
    meaning: 'The miner’s commit message was applied, its proof verified by the chain itself.',
  },
  commitments: {
    title: 'The records agree',
    meaning: 'What the miner told you and what the chain has on record are the same commitments.',
  },
  proven: {
    title: 'It is being proven',
    meaning: 'A proof of spacetime that covers the sector was accepted, and none is overdue.',
  },
  verdicts: { holds: 'holds', pending: 'cannot be shown yet', over: 'no longer owed', fails: 'does not hold' },
  trust: {
    checked: (why: Part) => say`Not on the word of the chain’s endpoint: ${why}`,
    claimed: (why: Part) => say`On the word of the chain’s endpoint: ${why}`,
    wrong: (why: Part) => say`The chain’s endpoint is not to be believed: ${why}`,
  },
  notChecked: 'not checked yet',
  summary: {
    holds: 'Everything holds.',
    pending: 'Nothing is wrong; something is still to come.',
    over: 'The deal has run its time.',
    fails: 'Something does not hold. Do not rely on this copy: take the file back, and store it with another miner.',
  },
  checking: 'Checking…',
  again: 'Check again',
  now: 'Check now',
  failed: 'The checks could not be made',
  commitmentsTitle: 'The commitments',
  commP: { name: 'CommP, your file', meaning: 'The fingerprint of your file, computed in this browser.' },
  commD: {
    name: 'CommD, the sector’s data',
    meaning: 'The fingerprint of all data in the sector, before sealing.',
  },
  commR: {
    name: 'CommR, the sealed replica',
    meaning: 'The fingerprint of the sealed copy, which is what the miner must keep.',
  },
  commC: {
    name: 'CommC, the layers',
    meaning: 'The fingerprint of all layers of the sealing (the field commRStar).',
  },
  message: { name: 'Commit message', meaning: 'The message on the chain that carried the proof.' },
  sector: 'Sector',
};

export const proofs = {
  title: 'The proofs themselves',
  seal: 'The seal',
  sealMeans: 'That the sealed copy holds exactly the sector’s data, encoded for this miner alone.',
  post: (height: number) => `Proof of spacetime in block ${count(height)}`,
  postMeans: 'That the miner had the sealed copies when the window opened.',
  postOver: (n: number) =>
    `That the miner had the sealed copies when the window opened. This proof is over ${count(n)} sectors, yours among them.`,
  before:
    'Whoever sealed and stored this sent the chain zero-knowledge proofs. So far you believe the chain that they hold; your browser can check them by itself.',
  after:
    'Whoever sealed and stored this sent the chain zero-knowledge proofs. Here they are checked by your browser itself, against what the chain has on record.',
  holds: (ms: string, key: Part) => say`checked by this tab in ${ms} ms, under the verifying key ${key}`,
  fails: (why: Part) =>
    say`checked by this tab, and wrong: ${why}. Do not rely on this copy: take the file back, and store it with another miner.`,
  unchecked: (why: Part) => say`claimed by the chain, not checked here: ${why}`,
  outcomes: {
    holds: 'checked by this tab',
    fails: 'checked by this tab, and wrong',
    unchecked: 'claimed by the chain',
  },
  beingChecked: 'being checked…',
  publicSeed:
    'This is a development network: its proving keys come from a public seed, so that anybody could make such proofs. What holds here shows that page, chain and miner agree; that your file is there is shown by taking it back.',
  check: 'Check the proofs',
  failed: 'The proofs could not be checked',
};

export const payments = {
  title: 'The payment',
  asking: 'Asking the chain…',
  free: 'This deal is free: nothing is set aside, and there are no vouchers.',
  willBeSet: (amount: string) => `${amount} will be set aside in a payment channel on the chain.`,
  isSet: (amount: string) =>
    `${amount} set aside on the chain. The miner draws on it with your signed vouchers, as they fall due and while it proves that it stores the file.`,
  channel: 'Channel',
  channelIs: (id: Part, state: string) => say`${id}, ${state}`,
  number: (id: number) => `no. ${id}`,
  states: {
    open: 'open',
    cancelled: 'cancelled by you',
    ended: 'ended',
    closed: 'closed; what was left went back to you',
  },
  ended: 'Ended',
  ends: 'Ends',
  block: (height: Part) => say`block ${height}`,
  blockIn: (height: Part, span: string) => say`block ${height}, in about ${span}`,
  vouchers: (n: number) => plural(n, { one: 'The voucher', other: `The ${count(n)} vouchers` }),
  paysUpTo: 'Pays up to',
  fromBlock: 'From block',
  condition: 'Condition',
  state: 'State',
  proof: 'proof',
  none: 'none',
  voucher: {
    ahead: 'ahead',
    due: 'due',
    redeemed: 'redeemed',
    expired: 'expired',
    settled: 'settled',
    invalid: 'worthless',
  },
  amounts: 'Amounts include those before. With “proof”, the miner must show on the chain that it holds the file.',
  copy: 'Copy the vouchers as text',
  copyAloud: (state: string) => `Vouchers: ${state}`,
  notFound: 'The payments could not be looked up',
  notCopied: 'The vouchers could not be copied',
  bar: (redeemed: string, total: string, due: string) => `${redeemed} of ${total} redeemed, ${due} due`,
  redeemed: (amount: Part) => say`redeemed ${amount}`,
  due: (amount: Part) => say`due by now ${amount}`,
  inAll: (amount: Part) => say`in all ${amount}`,
  returned: 'Returned to your account',
  returning: 'On its way back to your account',
  cancelling: (id: number) => `Payment channel no. ${id} of the failed attempt is being closed.`,
  reclaiming: (id: number) => `Payment channel no. ${id} has ended; the money is being taken out of it.`,
  closed: (id: number) => `Payment channel no. ${id} is closed.`,
  earned: (id: number, end: Part) =>
    say`The chain did not cancel payment channel no. ${id}, because the miner has shown that it stores the file. It ends at ${end}.`,
  cancelled: (id: number, end: Part) =>
    say`Payment channel no. ${id} is cancelled and ends at ${end}; until then the chain leaves the miner time to object. Keep this page open then, or come back later: nothing is lost.`,
  opening: 'Its payment channel may just be opening. What is in it comes back by itself.',
  nothing: 'Nothing was set aside for this attempt, so nothing has to come back.',
};

export const back = {
  title: 'Take the file back',
  ready: 'The miner sends it; this browser checks every byte against the file’s id before it is saved.',
  notYet: 'Possible as soon as the deal is complete.',
  fetching: 'Fetching…',
  fetched: 'Fetched from the miner',
  asked: 'The miner was asked. If it keeps no unsealed copy, it unseals the file first, which takes minutes.',
  verified: 'Verified: the bytes are exactly those that you stored.',
  failed: 'The file could not be retrieved',
};
