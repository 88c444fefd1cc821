// 简体中文：程序（客户端与矿工）所报告的问题与原因，按其稳定代码对应。程序自己只说英语，它的原文会附在后面。

import type { CauseCode, ErrorCode, Obstacle } from 'sealdrop-client';
import { findings } from './findings';

/** What the engine says, by its codes. */
export interface EngineWords {
  /** Why something did not work, and what to do next. */
  readonly problems: Readonly<Record<ErrorCode, { readonly why: string; readonly next?: string }>>;
  /** Why a deal is not done yet, and what to do about it. */
  readonly causes: Readonly<Record<CauseCode, { readonly text: string; readonly whatToDo?: string }>>;
  /** What stands between the page and an address. */
  readonly obstacles: Readonly<Record<Obstacle, string>>;
  /** What it says without a code, under its own words with `{}` for what it fills in; `findings.ts` finds them. */
  readonly findings: Readonly<Record<string, string>>;
}

export const zhEngine: EngineWords = {
  findings,
  problems: {
    aborted: { why: '已中止' },
    'bad-argument': { why: '输入的内容不符合要求' },
    busy: { why: '正在进行另一项操作', next: '请稍候再试' },
    'chain-refused': { why: '链拒绝了这项操作' },
    'chain-unreachable': { why: '链没有应答', next: '请启动链（`sealdrop daemon`），或改正它的地址' },
    closed: { why: '客户端已关闭', next: '请重新加载页面' },
    'deal-failed': { why: '交易没有成功', next: '请重试，可以用这个矿工，也可以换一个' },
    decryption: { why: '用这个密钥或密码短语打不开', next: '请提供加密此文件时所用的密钥或密码短语' },
    duplicate: { why: '同样的文件已按同样的条款存储', next: '请在交易簿中查看，或选择另一个期限' },
    'empty-file': { why: '文件没有内容', next: '请选择至少有一个字节的文件' },
    faucet: { why: '水龙头没有发放测试 FIL', next: '请稍后再试' },
    'file-lost': { why: '文件已不在此浏览器中', next: '请再次选择该文件，并用新的交易存储' },
    'file-too-large': { why: '文件大于扇区', next: '请选择小一些的文件，或扇区更大的矿工' },
    'file-unreadable': { why: '无法读取文件', next: '请检查文件是否还在，然后再选一次' },
    'insufficient-funds': { why: '账户余额不够支付', next: '请从水龙头领取 FIL，或选择更短的期限' },
    internal: { why: '程序内部出错', next: '请重新加载页面；如果再次出现，请报告此问题' },
    locked: { why: '账户已锁定，或密码短语不对', next: '请用账户的密码短语解锁' },
    'miner-misbehaved': { why: '矿工没有遵守协议', next: '以后的文件请选择其他矿工' },
    'miner-unknown': { why: '链上没有这个矿工', next: '请从此网络的矿工列表中选择' },
    'miner-unreachable': {
      why: '无法连接矿工',
      next: '请检查矿工是否在运行、能否从这里访问。不会有任何损失：矿工恢复后，进行中的交易会继续',
    },
    'no-ask': { why: '矿工目前没有报价', next: '请选择其他矿工，或请它公布价格' },
    'not-found': { why: '没有找到' },
    'not-stored-yet': { why: '还没有存储完成', next: '请等待交易完成' },
    'not-working': { why: '这笔交易已经结束', next: '已结束的交易可以忘记' },
    'over-limit': { why: '价格超过了您允许的上限', next: '请提高上限，或选择更短的期限、其他矿工' },
    'refund-pending': { why: '款项还在退回途中', next: '请等款项退回' },
    rejected: { why: '矿工拒绝了', next: '矿工的理由说明需要改变什么；之后再试' },
    'retrieval-corrupt': {
      why: '收到的内容与文件的 ID 不符',
      next: '这些字节已丢弃。请重试；如果仍然如此，矿工已丢失该文件',
    },
    'retrieval-failed': { why: '矿工没有给出文件', next: '请稍后再试' },
    'self-deal': { why: '这个矿工属于您自己的账户', next: '请使用另一个账户，或另一个矿工' },
    'signer-failed': { why: '钱包没有签名', next: '请在钱包中重新选择此客户端所用的账户' },
    'signer-refused': { why: '您在钱包中拒绝了签名', next: '没有支付任何款项。请重新存储，并在钱包询问时同意' },
    storage: { why: '浏览器的存储空间不可用或已满', next: '请腾出一些空间，或离开隐私窗口' },
    unsupported: { why: '此浏览器不支持' },
  },
  causes: {
    chainUnreachable: { text: '链没有应答', whatToDo: '请检查网络连接；恢复后会自动继续' },
    chainNotMakingBlocks: { text: '链目前没有产生新区块', whatToDo: '请等待，或询问运行链的人' },
    sectorFailed: { text: '扇区的封装失败了' },
    dealRejected: { text: '矿工拒绝了这笔交易' },
    dealFailed: { text: '交易失败了' },
    channelOpening: { text: '支付通道的消息还没有进入区块' },
    waitingForAnswer: { text: '提案已签名，矿工还没有答复' },
    minerUnreachable: { text: '无法询问矿工', whatToDo: '请检查矿工是否在运行；恢复后会自动继续' },
    minerCannotExplain: { text: '矿工能回答查询，但不能说明原因' },
    dealUnknown: { text: '矿工不知道这笔交易' },
    waitingForData: { text: '数据正在传输' },
    clientAway: { text: '还缺少数据，而有数据的一方没有连接', whatToDo: '请保持此页面打开，直到数据发送完' },
    diskFull: { text: '矿工的磁盘没有空间' },
    waitingForPlace: { text: '数据已到齐，正在寻找扇区' },
    waitingForAutoSeal: { text: '扇区还在接收更多数据，到时间就开始封装' },
    queuedBehind: { text: '前面还有其他工作' },
    stepRunning: { text: '正在进行这一步' },
    stepSlow: { text: '这一步比预计的慢' },
    stepFailed: { text: '这一步失败了，会重试' },
    postFirst: { text: '时空证明要先做' },
    messageNotOnChain: { text: '消息正在等待进入区块' },
    waitingForSeed: { text: '产生随机种子的区块还没有到来' },
    postDue: { text: '该做时空证明了' },
    sectorFaulty: { text: '要证明时，扇区的文件不完整' },
    waitingForRelease: { text: '扇区的交易已结束，下一次时空证明时释放' },
    deletingFiles: { text: '正在删除已释放扇区的文件' },
    timeIsUp: { text: '交易的时间即将用完，或在封装之前就已用完' },
    intakePaused: { text: '矿工目前不接受新交易' },
    other: { text: '此版本还不认识的原因' },
  },
  obstacles: {
    'permission-denied': '浏览器的用户不允许此网站访问本地网络或本机',
    'permission-pending': '浏览器会先询问您，目前还没有得到回答；询问时请选择“允许”',
    'mixed-content': '通过 https 加载的页面不能与他人明文通信',
    'insecure-page': '浏览器只允许 https 页面或本机页面这样做',
    'missing-api': '此浏览器没有这种传输方式',
    'outdated-certificate': '地址所保证的证书，对方已经不再使用',
    'no-certificate-hash': '对方的证书没有权威机构签发，而地址也没有为它作保',
    'cross-origin': '服务器有应答，但不允许此网站的页面读取',
    'no-answer': '已尝试，没有结果；浏览器不说明原因',
    'failed-lately': '刚刚尝试失败，先试其他地址',
    unsupported: '这类客户端没有这种传输方式',
    'other-peer': '这个地址通向别的节点',
    malformed: '无法读懂这个地址',
    surplus: '先试更好的地址',
    'not-needed': '另一个地址更快',
  },
};
