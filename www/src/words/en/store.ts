// English: choosing files, encrypting them, the terms.

import { count } from '../numbers';
import { type Part, say } from '../say';

export const store = {
  title: 'Store files under seal',
  lead: 'A storage miner seals your files into its sectors and proves to the chain, window after window, that it still holds them. You can check each step yourself.',
  recent: 'Recently stored',
  wholeBook: 'The whole deal book',
  side: 'Account and network',
  how: 'How it works',
  measuredHere: 'Measured here',
  measuredHereMeans:
    'Your browser computes each file’s commitment: a fingerprint that every later proof is held against. Large files are cut into pieces.',
  sealedThere: 'Sealed there',
  sealedThereMeans:
    'Miners take the pieces over encrypted connections, seal them into sectors and prove the seals to the chain.',
  proven: 'Proven again and again',
  provenMeans:
    'In every window a miner shows that it still holds them, and is paid as it does. Take your files back at any time.',
  emptyFiles: 'These files are empty',
  emptyFile: 'This file is empty',
  noBytesIn: (name: string) => `None of “${name}” has any bytes`,
  noBytes: (name: string) => `“${name}” has no bytes`,
  chooseFuller: 'Choose a file with something in it',
  tooLarge: 'This file is larger than a sector',
  tooLargeWhy: (name: string, size: string, bytes: number, most: string, mostBytes: number) =>
    `“${name}” has ${size} (${count(bytes)} bytes), and the largest sector here holds ${most} (${count(mostBytes)} bytes) of file; sectors this small take no parts of files`,
  tooLargeNext: 'Choose a smaller file, or a network with larger sectors. Nothing was paid',
  filesNotMeasured: 'The files could not be measured',
  fileNotMeasured: 'The file could not be measured',
  noDeal: 'The deal was not made',
  notStored: 'The files were not stored',
  duplicateWhy: 'the same file is stored on the same terms already',
  duplicate: 'It stands in the deal book. You can store it once more: that is a second deal, and costs the same again',
  onceMore: 'Store it once more',
  withoutCopy: 'Store without a copy: this page stays open until all is sent',
  notEncrypted: 'what was measured is not encrypted, and it is to be',
  notEncryptedNext: 'Choose the files again. Nothing has left this browser, and nothing was paid.',
};

export const copy = {
  title: 'Keep a copy in this browser until the miners have all of it',
  looking: 'Looking how much room there is…',
  takes: (size: string, room: string) =>
    `It takes ${size} of this browser’s room, of which about ${room} are free, and removes itself. Then a closed tab or a reload stops nothing.`,
  noRoom: (size: string, room: string) => `A copy takes ${size}, and this browser has room for about ${room}.`,
  impossible: 'This browser keeps no copies for this page.',
  without: 'Without a copy, after a reload you choose the same files again, and they are checked.',
  withoutKnown: 'Without a copy, after a reload this browser asks you whether the page may read the same files again.',
  copying: 'Copying',
  copyingOf: (done: string, all: string) => `Copied ${done} of ${all}. Nothing is paid before the copy is there.`,
};

export const drop = {
  title: 'Drop files or a folder here',
  orChoose: (button: Part) => say`or ${button}`,
  choose: 'Choose files',
  anySize: 'Any kind of file, of any size, as many as you like. Nothing leaves this device before you press Store.',
  upTo: (size: string) => `Any kind of file, up to ${size} each. Nothing leaves this device before you press Store.`,
  chooseFolder: 'Choose a whole folder',
  chooseFilesTo: 'Choose files to store',
  chooseFolderTo: 'Choose a folder to store',
  others: 'Other files',
  files: 'Files',
  nFiles: (n: number) => `${count(n)} files`,
  computing: 'Computing the commitment',
  computingNow: 'Computing the commitment…',
  measuredCommP: 'Measured. This is the file’s commitment (CommP):',
  measuredId: 'Measured. This id gets it back:',
  left: (time: string) => `${time} left`,
  pieceCommitment: 'piece commitment',
  id: 'id',
  measured: 'measured',
  waiting: 'waiting',
  showAll: (n: number) => `Show all ${count(n)} files`,
  noFile: 'Nothing was taken: there was no file in it.',
  notTaken: (why: string) => `Nothing was taken: ${why}.`,
  busy: 'Nothing was taken: files are being stored. Give the next ones when that is done.',
  tooMany: (most: number) => `more than ${count(most)} files cannot be stored at once`,
  tooDeep: (name: string, most: number) => `“${name}” lies in more folders than ${count(most)}`,
};

export const encrypt = {
  title: 'Encrypt before it leaves this browser',
  meaning: 'Miners then keep only ciphertext: they see how long it is, and neither what it says nor what it is called.',
  withWhat: 'With what',
  newKey: 'A new key',
  passphrase: 'A passphrase',
  making: 'Making a key…',
  lostKey: 'A lost key is a lost file.',
  nobody: (warning: Part) =>
    say`${warning} Nobody has a copy, and nobody can make another: not the miners, not this page.`,
  yourKey: (key: Part) => say`Your key ${key}`,
  save: (file: string) => `Save ${file}`,
  saved: (file: string) => `Saved as ${file}`,
  copyKey: 'Copy the key',
  copied: 'Copied: put it where you will find it',
  cannotCopy: 'The browser does not let this page copy: save the file',
  have: 'I have the key somewhere safe',
  works: (command: Part) =>
    say`The file works with ${command} anywhere. This browser opens your files without it for as long as it keeps them in its book.`,
  set: 'The passphrase is set.',
  forgotten: (set: Part) => say`${set} A forgotten passphrase is a lost file: nobody can restore it.`,
  chooseOther: 'Choose another one',
  lostPassphrase: 'A forgotten passphrase is a lost file.',
  goodPassphrase: (warning: Part) =>
    say`${warning} Several words that belong to nothing else are best; whoever guesses them reads it.`,
  passphraseField: 'Passphrase',
  again: 'The same again',
  use: 'Use this passphrase',
  noKey: 'No key could be made',
  two: 'These are two passphrases',
  differ: 'They differ',
  typeTwice: 'Type it twice in the same way',
  setFirst: 'Set the passphrase first.',
  keyBeingMade: 'The key is being made.',
  saveFirst: 'Save the key first: without it, the files are lost.',
  keyFileNote: 'Opens files that were encrypted with Sealdrop. Keep it secret and safe: a lost key is a lost file.',
};

export const terms = {
  title: 'Terms',
  miner: 'Miner',
  howLong: 'For how long',
  other: 'Other',
  inBlocks: 'in blocks',
  blocks: 'Blocks',
  wholeNumber: 'a whole number, 1 or more',
  price: 'Price',
  priceAtMost: 'Price, at most',
  store: 'Store',
  drawingUp: 'Drawing up…',
  howMany: 'How many miners keep it',
  minersKeep: (n: number) => ['', 'One', 'Two', 'Three'][n] ?? count(n),
  oneCopy: 'one copy',
  survives: (n: number) => `survives the loss of ${count(n)}`,
  byRule: 'Several copies are at several miners: choose them by a rule.',
  allDeals: (deals: number, pieces: number, copies: number) =>
    copies > 1
      ? `For all ${count(deals)} deals together: ${count(pieces)} pieces, ${count(copies)} copies each, the list of files included.`
      : `For all ${count(deals)} deals together: ${count(pieces)} pieces, the list of files included.`,
  atLeast: (price: string) => `From ${price} on, as miners take it; never more than this.`,
  checking: 'Checking the terms…',
  notMeasured: 'Known as soon as it is measured.',
  oneVoucher: (blocks: string) => `${blocks}, paid with one voucher that falls due at the end.`,
  vouchers: (blocks: string, n: number) =>
    `${blocks}, paid with ${count(n)} vouchers that fall due one after the other.`,
  onlyBlocks: (blocks: string) => `${blocks}.`,
  willNotDo: 'These terms will not do',
  tooLittle: 'The account holds too little',
  faucet: 'Get test FIL',
  notChecked: 'The terms could not be checked',
  /** What a person agrees to who has never heard of any of it. */
  plain: {
    title: 'In plain words',
    price: (price: string, span: string) => `It costs ${price} for ${span}.`,
    priceAtMost: (price: string, span: string) => `It costs ${price} for ${span} at most, all copies included.`,
    free: (span: string) => `It costs nothing for ${span}.`,
    noValue: 'FIL on this network is play money.',
    setAside:
      'The price is set aside when you press Store, and the miner gets it bit by bit, only while it proves that it stores the file.',
    sealed: (span: string) => `Sealed in about ${span}, going by your earlier deals with this miner.`,
    sealedUnknown:
      'Sealing takes minutes to hours, as the miner’s machine is; the deal’s page says how long as soon as it is known.',
    proven: (span: string) => `Proven about every ${span} from then on.`,
    ends: (date: string) => `Kept until about ${date}. Nothing is renewed by itself.`,
    keepOpen: 'Keep this page open until the miner has the file; after that you may close it.',
  },
};
