// English: a file or folder in several pieces, previews, and files of other browsers.

import { count, plural } from '../numbers';
import { type Part, say } from '../say';

export const file = {
  notLookedAt: 'The file cannot be looked at',
  begun: (moment: string) => `begun ${moment}`,
  timeOver: 'Its time is over',
  timeOverWhy: (height: number, folder: boolean) =>
    folder
      ? `Its deals lasted until block ${count(height)}: no miner has to keep these files any more`
      : `Its deals lasted until block ${count(height)}: no miner has to keep this file any more`,
  notAgain: (why: string) => `It cannot be stored again at present: ${why}`,
  mayAgain:
    'You can store it again, as before and for as long. Its bytes come from this browser, or else from the miners while they still have them',
  again: 'Store it again',
  againFor: (price: string) => `Store it again for ${price}`,
  fromTo: (least: string, most: string) => `${least} to ${most}`,
  noPrice: 'What it costs could not be found out',
  notStoredAgain: 'It could not be stored again',
  notWhole: 'It is not kept as a whole',
  givenUp: 'You gave it up',
  givenUpWhy: (kept: number, all: number) =>
    `No more deals are made for it; ${count(kept)} of ${count(all)} copies of pieces are kept`,
  fewerCopies: 'It is kept, in fewer copies than you asked for',
  goesOn: 'What is under way goes on. You can let it go on, within the price that you agreed to',
  mayGoOn: 'You can let it go on, within the price that you agreed to',
  goOn: 'Go on',
  delayed: 'Delayed; it is tried again automatically',
  needs: (folder: boolean) =>
    folder ? 'The miners still need these files from you' : 'The miners still need this file from you',
  needsMeans: (folder: boolean) =>
    folder
      ? 'This browser has no copy of them, and the page was loaded anew since. Choose the same files again: they are checked, and everything goes on where it was.'
      : 'This browser has no copy of it, and the page was loaded anew since. Choose the same file again: it is checked, and everything goes on where it was.',
  checking: 'Checking',
  checkingOf: (done: string, all: string) => `Checking: ${done} of ${all}`,
  allow: (folder: boolean) => (folder ? 'Go on with the same files' : 'Go on with the same file'),
  choose: (folder: boolean) => (folder ? 'Choose the files' : 'Choose the file'),
  chooseFolder: 'Choose the folder',
  notRead: 'They could not be read',
  notSame: 'These are not the same files',
  showAllFiles: (n: number) => `Show all ${count(n)} files`,
  showAllPieces: (n: number) => `Show all ${count(n)} pieces`,
  showHere: 'Show it here',
  downloadOf: (path: string) => `Download ${path}`,
  piecesIn: (pieces: number, copies: number) =>
    copies === 1
      ? plural(pieces, {
          one: `${count(pieces)} piece, each in a deal of its own`,
          other: `${count(pieces)} pieces, each in a deal of its own`,
        })
      : plural(pieces, {
          one: `${count(pieces)} piece, each in ${count(copies)} deals of its own`,
          other: `${count(pieces)} pieces, each in ${count(copies)} deals of its own`,
        }),
  back: (folder: boolean) => (folder ? 'Take the files back' : 'Take the file back'),
  backReady:
    'The miners send it piece by piece; this browser checks each piece before a byte of it is saved, and asks the next miner when one fails.',
  backLater: 'Possible as a whole as soon as all of it is sealed.',
  noFolders: 'This browser lets no page write folders: download the files one by one.',
  downloadFolder: 'Download the folder…',
  fetched: 'Fetched from the miners',
  verified: (name: string) => `Verified: ${name} is exactly what you stored.`,
  quoted: (name: string) => `“${name}”`,
  giveUp: 'Give it up',
  forget: 'Forget it',
  notFetched: 'It could not be fetched',
  notGoneOn: 'It could not go on',
  giveUpReally: (name: string) =>
    `Give “${name}” up? No more deals are made for it, and those under way end; what is sealed stays.`,
  notGivenUp: 'It could not be given up',
  forgetReally: (name: string) =>
    `Forget “${name}” and its deals? This browser can no longer follow them or take it back.`,
  notForgotten: 'It cannot be forgotten yet',
  wasSealed: 'All of it was sealed',
  isSealed: 'All of it is sealed',
  beingSealed: 'Being sealed',
  onItsWay: 'On its way to the miners',
  sent: 'Sent',
  sealedAndProven: 'Sealed and proven',
  ofPieces: (kept: number, wanted: number) => `${count(kept)} of ${count(wanted)} pieces`,
  ofCopies: (kept: number, wanted: number) => `${count(kept)} of ${count(wanted)} copies of pieces`,
  mayClose: 'The miners have all of it. You may close this page: it goes on, and the page catches up when you return.',
  keepOpen:
    'Please keep this page open until all is sent: the miners fetch it from this browser. After a reload it goes on where it was; very large files it asks you for again.',
  underWay: (n: number) => `${count(n)} under way.`,
  figures: 'In figures',
  id: 'Id (gets it back)',
  idCopy: 'id',
  dataId: 'Data (IPFS) id',
  dataIdCopy: 'data id',
  copiesEach: 'Copies of each piece',
  duration: 'Duration',
  lasts: (blocks: string, span: string | undefined, end: number) =>
    span === undefined ? `${blocks}, until block ${count(end)}` : `${blocks}, about ${span}, until block ${count(end)}`,
  price: 'Price',
  atMost: (price: string) => `of at most ${price}`,
};

export const rows = {
  waiting: 'waiting',
  sending: 'sending',
  sealing: 'being sealed',
  kept: 'kept',
  failed: 'not kept',
  empty: 'kept in the list',
  sendingShare: (share: string) => `sending ${share}`,
  waitsForTurn: 'waits for its turn',
  theList: 'The list of files',
  piece: 'Piece',
  part: (place: number, all: number) => `Part ${count(place)} of ${count(all)}`,
  partOf: (path: string, place: number, all: number) => `${path}, part ${count(place)} of ${count(all)}`,
  underWay: 'under way',
  sealed: 'sealed',
  refused: 'refused',
  copyFailed: 'failed',
  lost: 'lost',
  copyAt: (miner: string, state: string) => `${miner}: ${state}`,
  cameBack: (moment: string) => `came back ${moment}`,
  didNotComeBack: (moment: string) => `did not come back ${moment}`,
};

export const encryption = {
  title: 'Encrypted',
  left: (folder: boolean) =>
    folder
      ? 'These files left this browser as ciphertext, and so did all names.'
      : 'It left this browser as ciphertext, and so did its name.',
  readers: (recipients: number, passphrase: boolean, folder: boolean) => {
    const who = passphrase
      ? 'whoever knows the passphrase'
      : plural(recipients, {
          one: 'whoever has its key',
          other: `whoever has one of its ${count(recipients)} keys`,
        });
    return folder ? `Only this browser and ${who} can read them.` : `Only this browser and ${who} can read it.`;
  },
  opens: (folder: boolean, passphrase: boolean) => {
    const [them, what] = [folder ? 'them' : 'it', passphrase ? 'passphrase' : 'key'];
    return `This browser opens ${them} by what it keeps in its book. Once that is forgotten or lost, only the ${what} does.`;
  },
  before: 'Before',
  stored: 'Stored',
  ciphertext: (size: string) => `${size} of ciphertext (age)`,
};

export const drills = {
  title: 'Does it come back?',
  lead: 'While this page is open, some bytes of one copy are fetched every hour and checked. A copy that fails three times in a row is lost, and replaced within the price that you agreed to.',
  fetching: 'Fetching…',
  now: 'Check a copy now',
  failed: 'No copy could be checked',
  kept: (miner: string) => `Miner ${miner} gave what was asked for, and it is right.`,
  doubtful: (miner: string, strikes: number, why: Part) =>
    strikes === 1
      ? say`Miner ${miner} did not give it, once: ${why}. It is asked again in ten minutes.`
      : say`Miner ${miner} did not give it, twice in a row: ${why}. It is asked again in ten minutes.`,
  lost: (miner: string, why: Part) =>
    say`Miner ${miner} did not give it three times in a row: its copy counts as lost. ${why}`,
};

export const foreign = {
  missing: 'This file is not in the book',
  encryptedFolder: 'An encrypted folder',
  encryptedFile: 'An encrypted file',
  lead: 'Files are kept in the book of the browser that stored them. If miners keep its list, it can be had from them.',
  asking: 'Asking the miners…',
  ask: 'Ask the miners for it',
  openedKey: 'Opened with your key.',
  openedPassphrase: 'Opened with your passphrase.',
  opensWith: 'What it is called, and what is in it, is opened by the key that it was stored with, or the passphrase.',
  key: 'Key (AGE-SECRET-KEY-1…)',
  keyFile: 'or the key’s file',
  passphrase: 'or the passphrase',
  opening: 'Opening…',
  open: 'Open',
  downloadEncrypted: 'Download encrypted',
  more: (n: number) => `and ${count(n)} more; the command line gets them all.`,
  verified: (name: string) => `Verified: ${name} is exactly what was stored.`,
  notOpened: 'It could not be opened',
  notFetched: 'It could not be fetched',
};

export const preview = {
  image: { verb: 'Show here', title: 'See the image' },
  text: { verb: 'Show here', title: 'Read the text' },
  pdf: { verb: 'Show here', title: 'Read the document' },
  audio: { verb: 'Listen here', title: 'Listen to the recording' },
  video: { verb: 'Play here', title: 'Play the video' },
  fetched: (done: string, all: string) => `${done} of ${all} fetched and checked`,
  loadingAloud: 'Fetching and checking',
  shownAloud: 'It is there',
  noPdf: 'This browser shows no PDF in a page: download it instead.',
  tooLarge: (most: string) => `It is larger than ${most}, more than is shown here: download it instead.`,
  tooLargeHere: (why: string, most: string) =>
    `${why} Without one a page plays no more than ${most}: download it instead.`,
  played:
    'Only the parts that you play are fetched; this browser checks each part first. You can go to any place in it.',
  textPart: (size: string) => `The first ${size} are fetched, checked and shown.`,
  whole: 'It is fetched, checked, and shown in this page. Nothing in it is run.',
  textOf: (name: string) => `Text of ${name}`,
  playerFor: (name: string) => `Player for ${name}`,
  cannotShow: 'It cannot be shown',
  stopped: 'It stopped',
  cannotPlay: 'It cannot be played',
  noWorker: 'the Service Worker of this page does not answer',
  noWorkerNext: 'Reload the page, or download the file instead.',
  unreadable: (type: string) => `this browser cannot read it as ${type}`,
  unreadableNext: 'Download it, and open it with another program.',
  insecure: 'The browser gives pages that are loaded over plain HTTP from another computer no Service Worker.',
  noWorkerHere: 'This browser has no Service Worker here; private windows often have none.',
  downloadInstead: 'Download the file instead.',
  workerFails: (why: string) => `The browser does not start the Service Worker: ${why}`,
  workerLate: 'it takes too long',
  workerGone: 'it was given up',
  notBegun: 'the browser did not begin the download',
  tooLargeToSave: (most: string, size: string) =>
    `this browser lets no page write to the disk, and holds ${most} at most; the file has ${size}`,
  tooLargeToSaveNext:
    'Use a browser that has the File System Access API, or the command line: `sealdrop client retrieve`.',
  noFolders: 'this browser lets no page write folders',
  exists: (name: string) => `there is something called “${name}” in that folder already`,
  existsNext: 'Choose another folder: nothing is written over.',
  offline: 'there is no connection to the network',
};
