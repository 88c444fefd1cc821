// 简体中文：由多个分片组成的文件或文件夹、预览，以及其他浏览器的文件。

import type { Words } from '..';
import { count } from '../numbers';
import { say } from '../say';

export const file: Words['file'] = {
  notLookedAt: '无法查看文件',
  begun: (moment) => `开始于 ${moment}`,
  timeOver: '已经到期',
  timeOverWhy: (height, folder) =>
    folder
      ? `它的交易到区块 ${count(height)} 为止：矿工不必再保存这些文件`
      : `它的交易到区块 ${count(height)} 为止：矿工不必再保存这个文件`,
  notAgain: (why) => `目前无法再次存储：${why}`,
  mayAgain: '您可以按同样的方式和期限再存一次。数据来自此浏览器，否则来自仍保有它的矿工',
  again: '再次存储',
  againFor: (price) => `再次存储，费用 ${price}`,
  fromTo: (least, most) => `${least} 至 ${most}`,
  noPrice: '无法得知费用',
  notStoredAgain: '无法再次存储',
  notWhole: '没有完整保存',
  givenUp: '您已放弃它',
  givenUpWhy: (kept, all) => `不再为它订立交易；分片的 ${count(all)} 个副本中保存了 ${count(kept)} 个`,
  fewerCopies: '已保存，但副本少于您的要求',
  goesOn: '进行中的部分会继续。您可以让它在您同意的价格内继续进行',
  mayGoOn: '您可以让它在您同意的价格内继续进行',
  goOn: '继续',
  delayed: '有延迟；会自动重试',
  needs: (folder) => (folder ? '矿工还需要您提供这些文件' : '矿工还需要您提供这个文件'),
  needsMeans: (folder) =>
    folder
      ? '此浏览器没有它们的副本，而页面已重新加载。请再次选择同样的文件：校验后会从中断处继续。'
      : '此浏览器没有它的副本，而页面已重新加载。请再次选择同一个文件：校验后会从中断处继续。',
  checking: '正在校验',
  checkingOf: (done, all) => `正在校验：${done} / ${all}`,
  allow: (folder) => (folder ? '用同样的文件继续' : '用同一个文件继续'),
  choose: () => '选择文件',
  chooseFolder: '选择文件夹',
  notRead: '无法读取',
  notSame: '这不是同样的文件',
  showAllFiles: (n) => `显示全部 ${count(n)} 个文件`,
  showAllPieces: (n) => `显示全部 ${count(n)} 个分片`,
  showHere: '在此显示',
  downloadOf: (path) => `下载 ${path}`,
  piecesIn: (pieces, copies) =>
    copies === 1 ? `${count(pieces)} 个分片，各有一笔交易` : `${count(pieces)} 个分片，各有 ${count(copies)} 笔交易`,
  back: () => '取回文件',
  backReady: '矿工逐片发送；此浏览器在保存每一片之前先校验，如有失败就换下一个矿工。',
  backLater: '全部封装后即可整体取回。',
  noFolders: '此浏览器不允许页面写入文件夹：请逐个下载文件。',
  downloadFolder: '下载文件夹…',
  fetched: '已从矿工取回',
  verified: (name) => `已验证：${name} 与您存储的完全一致。`,
  quoted: (name) => `“${name}”`,
  giveUp: '放弃',
  forget: '忘记',
  notFetched: '无法取回',
  notGoneOn: '无法继续',
  giveUpReally: (name) => `放弃“${name}”？不会再为它建立交易，进行中的交易会结束；已封装的部分保留。`,
  notGivenUp: '无法放弃',
  forgetReally: (name) => `忘记“${name}”及其交易？此浏览器将无法再跟踪或取回。`,
  notForgotten: '现在还不能忘记',
  wasSealed: '曾全部封装',
  isSealed: '已全部封装',
  beingSealed: '正在封装',
  onItsWay: '正在发往矿工',
  sent: '已发送',
  sealedAndProven: '已封装并证明',
  ofPieces: (kept, wanted) => `${count(kept)} / ${count(wanted)} 个分片`,
  ofCopies: (kept, wanted) => `${count(kept)} / ${count(wanted)} 个分片副本`,
  mayClose: '矿工已拿到全部内容。您可以关闭此页面：存储会继续，您回来时页面会跟上进度。',
  keepOpen:
    '全部发送完之前请保持此页面打开：矿工要从此浏览器取文件。重新加载后会从中断处继续；特别大的文件会请您再选一次。',
  underWay: (n) => `${count(n)} 项进行中。`,
  figures: '数据一览',
  id: 'ID（凭此取回）',
  idCopy: ' ID',
  dataId: '数据（IPFS）ID',
  dataIdCopy: '数据 ID',
  copiesEach: '每个分片的副本数',
  duration: '期限',
  lasts: (blocks, span, end) =>
    span === undefined ? `${blocks}，到区块 ${count(end)} 为止` : `${blocks}，约${span}，到区块 ${count(end)} 为止`,
  price: '价格',
  atMost: (price) => `（上限 ${price}）`,
};

export const rows: Words['rows'] = {
  waiting: '等待中',
  sending: '发送中',
  sealing: '封装中',
  kept: '已保存',
  failed: '未保存',
  empty: '保存在清单中',
  sendingShare: (share) => `发送中 ${share}`,
  waitsForTurn: '等待轮到它',
  theList: '文件清单',
  piece: '分片',
  part: (place, all) => `第 ${count(place)} 部分，共 ${count(all)} 部分`,
  partOf: (path, place, all) => `${path}，第 ${count(place)} 部分，共 ${count(all)} 部分`,
  underWay: '进行中',
  sealed: '已封装',
  refused: '被拒绝',
  copyFailed: '失败',
  lost: '丢失',
  copyAt: (miner, state) => `${miner}：${state}`,
  cameBack: (moment) => `${moment} 成功取回`,
  didNotComeBack: (moment) => `${moment} 未能取回`,
};

export const encryption: Words['encryption'] = {
  title: '已加密',
  left: (folder) => (folder ? '这些文件以密文离开此浏览器，所有文件名也是。' : '它以密文离开此浏览器，文件名也是。'),
  readers: (recipients, passphrase, folder) => {
    const them = folder ? '它们' : '它';
    if (passphrase) return `只有此浏览器和知道密码短语的人能读取${them}。`;
    return recipients === 1
      ? `只有此浏览器和持有密钥的人能读取${them}。`
      : `只有此浏览器和持有 ${count(recipients)} 个密钥之一的人能读取${them}。`;
  },
  opens: (folder, passphrase) => {
    const them = folder ? '它们' : '它';
    return passphrase
      ? `此浏览器凭交易簿中保存的内容打开${them}。一旦忘记或丢失，就只有密码短语能打开。`
      : `此浏览器凭交易簿中保存的内容打开${them}。一旦忘记或丢失，就只有密钥能打开。`;
  },
  before: '加密前',
  stored: '已存储',
  ciphertext: (size) => `${size} 密文（age）`,
};

export const drills: Words['drills'] = {
  title: '真的取得回来吗？',
  lead: '此页面打开期间，每小时取回一个副本的部分字节并校验。连续三次失败的副本视为丢失，并在您同意的价格内补上。',
  fetching: '正在取回…',
  now: '立即检查一个副本',
  failed: '无法检查任何副本',
  kept: (miner) => `矿工 ${miner} 给出了所要的内容，而且正确。`,
  doubtful: (miner, strikes, why) => say`矿工 ${miner} 没有给出（已连续 ${count(strikes)} 次）：${why}。十分钟后再问。`,
  lost: (miner, why) => say`矿工 ${miner} 连续三次没有给出：它的副本视为丢失。${why}`,
};

export const foreign: Words['foreign'] = {
  missing: '交易簿中没有这个文件',
  encryptedFolder: '加密的文件夹',
  encryptedFile: '加密的文件',
  lead: '文件记在存储它的浏览器的交易簿中。如果矿工保存着它的清单，就可以从矿工取得。',
  asking: '正在询问矿工…',
  ask: '向矿工查询',
  openedKey: '已用您的密钥打开。',
  openedPassphrase: '已用您的密码短语打开。',
  opensWith: '它的名称和内容，要用存储时的密钥或密码短语打开。',
  key: '密钥（AGE-SECRET-KEY-1…）',
  keyFile: '或密钥文件',
  passphrase: '或密码短语',
  opening: '正在打开…',
  open: '打开',
  downloadEncrypted: '下载密文',
  more: (n) => `还有 ${count(n)} 个；命令行可以取得全部。`,
  verified: (name) => `已验证：${name} 与存储的完全一致。`,
  notOpened: '无法打开',
  notFetched: '无法取回',
};

export const preview: Words['preview'] = {
  image: { verb: '在此显示', title: '查看图片' },
  text: { verb: '在此显示', title: '阅读文本' },
  pdf: { verb: '在此显示', title: '阅读文档' },
  audio: { verb: '在此收听', title: '收听录音' },
  video: { verb: '在此播放', title: '播放视频' },
  fetched: (done, all) => `已取回并校验 ${done} / ${all}`,
  loadingAloud: '正在取回并校验',
  shownAloud: '已显示',
  noPdf: '此浏览器不能在页面中显示 PDF：请下载。',
  tooLarge: (most) => `它大于 ${most}，超出了此处可显示的大小：请下载。`,
  tooLargeHere: (why, most) => `${why}没有它，页面最多只能播放 ${most}：请下载。`,
  played: '只取回您播放的部分；此浏览器先校验每一部分。您可以跳到任意位置。',
  textPart: (size) => `取回、校验并显示前 ${size}。`,
  whole: '取回、校验并在此页面显示。其中的任何内容都不会被执行。',
  textOf: (name) => `${name} 的文本`,
  playerFor: (name) => `${name} 的播放器`,
  cannotShow: '无法显示',
  stopped: '已中断',
  cannotPlay: '无法播放',
  noWorker: '此页面的 Service Worker 没有响应',
  noWorkerNext: '请重新加载页面，或改为下载文件。',
  unreadable: (type) => `此浏览器无法把它作为 ${type} 读取`,
  unreadableNext: '请下载后用其他程序打开。',
  insecure: '页面若通过普通 HTTP 从另一台计算机加载，浏览器就不提供 Service Worker。',
  noWorkerHere: '此浏览器在这里没有 Service Worker；隐私窗口常常没有。',
  downloadInstead: '请改为下载文件。',
  workerFails: (why) => `浏览器没有启动 Service Worker：${why}`,
  workerLate: '用时太长',
  workerGone: '已被放弃',
  notBegun: '浏览器没有开始下载',
  tooLargeToSave: (most, size) => `此浏览器不允许页面写入磁盘，最多只能容纳 ${most}；而文件有 ${size}`,
  tooLargeToSaveNext: '请使用支持 File System Access API 的浏览器，或使用命令行：`sealdrop client retrieve`。',
  noFolders: '此浏览器不允许页面写入文件夹',
  exists: (name) => `该文件夹中已有名为“${name}”的内容`,
  existsNext: '请选择其他文件夹：不会覆盖任何内容。',
  offline: '没有网络连接',
};
